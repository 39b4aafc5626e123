/* Hide VNNI, AVX-512 and AMX from a program: how INT8 behaves on an older processor, at that processor's instructions.
 *
 *     gcc -O1 -shared -fPIC -o without_vnni.so benchmarks/without_vnni.c
 *     LD_PRELOAD=$PWD/without_vnni.so python …
 *
 * The kernel makes CPUID fault (`cpuid_fault` in /proc/cpuinfo, x86-64 Linux alone); the handler runs it and clears
 * the bits, so that libraries choose their AVX2 code. Threads inherit it; a program that is executed loads it anew.
 */
#define _GNU_SOURCE
#include <asm/prctl.h>
#include <signal.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

static struct sigaction other;

static void allow_cpuid(int allowed) { syscall(SYS_arch_prctl, ARCH_SET_CPUID, allowed); }

static void answer(int signal, siginfo_t *info, void *context) {
    greg_t *registers = ((ucontext_t *)context)->uc_mcontext.gregs;
    const unsigned char *code = (const unsigned char *)registers[REG_RIP];
    if (code[0] != 0x0f || code[1] != 0xa2) { /* no CPUID: a fault of the program's own */
        sigaction(SIGSEGV, &other, 0);
        return;
    }
    uint32_t leaf = registers[REG_RAX], part = registers[REG_RCX], a, b, c, d;
    allow_cpuid(1);
    __asm__ volatile("cpuid" : "=a"(a), "=b"(b), "=c"(c), "=d"(d) : "a"(leaf), "c"(part));
    allow_cpuid(0);
    if (leaf == 7 && part == 0) {
        b &= ~0xdc230000u; /* AVX-512 F, DQ, IFMA, PF, ER, CD, BW, VL */
        c &= ~0x00005842u; /* VBMI, VBMI2, VNNI, BITALG, VPOPCNTDQ */
        d &= ~0x03c0010cu; /* 4VNNIW, 4FMAPS, VP2INTERSECT, AMX, AVX-512 FP16 */
    }
    if (leaf == 7 && part == 1) {
        a &= ~0x00a00030u; /* AVX-VNNI, AVX-512 BF16, AMX FP16, AVX-IFMA */
        d &= ~0x00080530u; /* AVX-VNNI-INT8 and -INT16, AVX-NE-CONVERT, AMX COMPLEX, AVX10 */
    }
    registers[REG_RAX] = a, registers[REG_RBX] = b, registers[REG_RCX] = c, registers[REG_RDX] = d;
    registers[REG_RIP] += 2;
}

__attribute__((constructor(101))) static void begin(void) {
    struct sigaction action = {0};
    action.sa_sigaction = answer;
    action.sa_flags = SA_SIGINFO | SA_NODEFER;
    sigaction(SIGSEGV, &action, &other);
    allow_cpuid(0);
}

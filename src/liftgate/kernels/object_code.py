"""Load compiled object code into memory without LLVM, which takes 0.1 s and 50 MB to import.

Numba compiles for the large code model, so that a kernel refers to other places by absolute addresses only, and
kernels call nothing but a few functions of the C library. Objects that need more are refused: LLVM links them.
"""

from __future__ import annotations

import ctypes
import itertools
import mmap
import platform
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

C_FUNCTIONS = ("exp", "log", "memcpy", "memmove", "memset", "pow", "rint")
"""Functions outside its object that a kernel may call"""

_LITTLE_64_BIT_ELF = b"\x7fELF\x02\x01\x01"
_RELOCATABLE, _X86_64 = 1, 62
_CONTENT, _SYMBOLS, _ADDENDS, _ZEROS = 1, 2, 4, 8  # types of sections
_ADDRESS_64 = 1  # type of a relocation: symbol + addend, in 64 bits
_IN_MEMORY = 2  # flag of a section
_UNDEFINED, _RESERVED = 0, 0xFF00  # numbers of sections


class LoadedCode:
    """Machine code in memory; it stays there as long as this object.

    Raises:
        ValueError: the object needs a linker.
        OSError: the system lets no process make code.
    """

    def __init__(self, code: bytes) -> None:
        sections = list(_sections(code))
        self._offsets = _offsets(sections)
        size = max((at + sections[i].size for i, at in self._offsets.items()), default=0)
        self._memory = mmap.mmap(-1, max(1, size), mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        self._start = ctypes.addressof(ctypes.c_char.from_buffer(self._memory))
        for i, at in self._offsets.items():
            if sections[i].kind == _CONTENT:
                self._memory[at : at + sections[i].size] = code[sections[i].at :][: sections[i].size]
        (table,) = (i for i, section in enumerate(sections) if section.kind == _SYMBOLS)
        names = sections[sections[table].link]
        self._symbols = [*_symbols(code, sections[table], code[names.at :][: names.size])]
        for section in sections:
            if section.kind == _ADDENDS and section.of in self._offsets:
                self._relocate(code, section)
        self._allow_execution()

    def address(self, name: str) -> int:
        """Return where a function begins."""
        return next(self._place(symbol) for symbol in self._symbols if symbol.name == name)

    def _relocate(self, code: bytes, section: _Section) -> None:
        for where, info, addend in struct.iter_unpack("<QQq", code[section.at :][: section.size]):
            if info & 0xFFFF_FFFF != _ADDRESS_64:
                raise ValueError(f"a relocation of type {info & 0xFFFF_FFFF}")
            struct.pack_into("<Q", self._memory, self._offsets[section.of] + where,
                             self._place(self._symbols[info >> 32]) + addend)  # fmt: skip

    def _place(self, symbol: _Symbol) -> int:
        if symbol.section == _UNDEFINED:
            return c_function(symbol.name)
        if symbol.section >= _RESERVED:
            raise ValueError(f"the symbol {symbol.name!r} is in no section")
        return self._start + self._offsets[symbol.section] + symbol.value

    def _allow_execution(self) -> None:
        """Make the memory code, which nothing can write into any more."""
        protect = ctypes.CDLL(None, use_errno=True).mprotect
        protect.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
        if protect(self._start, len(self._memory), mmap.PROT_READ | mmap.PROT_EXEC):
            raise OSError(ctypes.get_errno(), "no memory for machine code")


def processor() -> str:
    """Return the processor with all its features, as Linux names them, without LLVM.

    Raises:
        ValueError: not Linux on x86-64.
    """
    if platform.system() != "Linux" or platform.machine() != "x86_64":
        raise ValueError("object code is loaded on Linux and x86-64 only")
    wanted = ("vendor_id", "cpu family", "model", "model name", "stepping", "flags")
    with Path("/proc/cpuinfo").open(encoding="utf-8", errors="replace") as file:
        first = dict(map(_key_and_value, itertools.takewhile(str.strip, file)))  # to the first empty line: one of them
    return " ".join(first[key] for key in wanted)


def _key_and_value(line: str) -> tuple[str, str]:
    key, _, value = line.partition(":")
    return key.strip(), value.strip()


class _Section(NamedTuple):
    kind: int
    flags: int
    at: int
    size: int
    link: int
    of: int
    align: int


def _sections(code: bytes) -> Iterator[_Section]:
    kind, machine = struct.unpack_from("<HH", code, 16)
    if code[:7] != _LITTLE_64_BIT_ELF or (kind, machine) != (_RELOCATABLE, _X86_64):
        raise ValueError("no object code for x86-64")
    (table,) = struct.unpack_from("<Q", code, 40)
    each, count = struct.unpack_from("<HH", code, 58)
    for i in range(count):
        _, kind, flags, _, at, size, link, of, align, _ = struct.unpack_from("<IIQQQQIIQQ", code, table + i * each)
        yield _Section(kind, flags, at, size, link, of, align)


def _offsets(sections: list[_Section]) -> dict[int, int]:
    """Return number of a section → its place in memory, for those that are in memory at run time."""
    places, end = {}, 0
    for i, section in enumerate(sections):
        if section.flags & _IN_MEMORY:
            if section.kind not in (_CONTENT, _ZEROS):
                raise ValueError(f"a section of type {section.kind}")
            align = max(1, section.align)
            places[i] = -(-end // align) * align
            end = places[i] + section.size
    return places


class _Symbol(NamedTuple):
    name: str
    section: int
    value: int


def _symbols(code: bytes, section: _Section, names: bytes) -> Iterator[_Symbol]:
    for name, _, of, value, _ in struct.iter_unpack("<IBxHQQ", code[section.at :][: section.size]):
        yield _Symbol(names[name : names.index(0, name)].decode(), of, value)


def c_function(name: str) -> int:
    """Return the address of a function of the C library.

    Raises:
        ValueError: not one of C_FUNCTIONS.
    """
    if name not in C_FUNCTIONS:
        raise ValueError(f"a function {name!r} outside the kernel")
    found = ctypes.cast(getattr(ctypes.CDLL(None), name), ctypes.c_void_p).value
    if not found:
        raise ValueError(f"no function {name!r}")
    return found

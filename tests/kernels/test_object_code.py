"""Machine code loaded without LLVM: the same numbers, and what needs a linker is left to LLVM."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from liftgate.kernels import compiler, object_code

pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux") or object_code.platform.machine() != "x86_64", reason="Linux on x86-64"
)

PROGRAM = """
import sys
import numpy as np
from liftgate.kernels import matching
pairs = np.zeros(1)
box = np.array([[0.0, 0.0, 2.0, 2.0, 2.0, 2.0]])
runs, offsets = np.array([[0, 1, 0, 1]]), np.zeros(1, dtype=np.int64)
matching.box_similarity(box, box, np.zeros(1, dtype=bool), runs, offsets, pairs)
points = np.array([[[0.0, 0.0, 2.0], [1.0, 2.0, 2.0]]])
oks = np.zeros(1)
matching.oks_similarity(points + 0.5, points, box, np.ones(1), np.full(2, 0.5), runs, offsets, oks)
print(pairs[0], repr(float(oks[0])), "llvmlite.binding" in sys.modules)
"""


def run() -> list[str]:
    done = subprocess.run([sys.executable, "-c", PROGRAM], check=True, capture_output=True, text=True)
    return done.stdout.split()


def test_kernels_run_without_llvm_once_they_are_compiled() -> None:
    run()
    similarity, oks, with_llvm = run()
    assert (similarity, with_llvm) == ("1.0", "False")
    assert float(oks) == pytest.approx(np.exp(-0.25), abs=1e-15)


def test_llvm_links_what_the_loader_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(code: bytes) -> None:
        raise ValueError("a relocation of type 2")

    def sign(values: np.ndarray) -> int:
        return 1 if values[0] > 0 else -1

    symbol, code = compiler.compile_kernel(sign, ("float64[1]",))  # type: ignore[arg-type]  # a plain function
    with_loader = compiler.link(symbol, code, ("float64[1]",))
    monkeypatch.setattr(object_code, "LoadedCode", refuse)
    with_llvm = compiler.link(symbol, code, ("float64[1]",))
    for value in (2.0, -2.0):
        assert with_loader(np.array([value])) == with_llvm(np.array([value])) == np.sign(value)


@pytest.mark.parametrize(
    ("damage", "what"),
    [
        (lambda code: b"\x7fELF\x01" + code[5:], "no object code"),  # 32 bits
        (lambda code: code[:18] + b"\xb7\x00" + code[20:], "no object code"),  # another processor
    ],
)
def test_other_objects_are_refused(damage: object, what: str) -> None:
    def nothing(values: np.ndarray) -> int:
        return len(values)

    _, code = compiler.compile_kernel(nothing, ("float64[1]",))  # type: ignore[arg-type]  # a plain function
    with pytest.raises(ValueError, match=what):
        object_code.LoadedCode(damage(code))  # type: ignore[operator]  # a function


def test_a_function_outside_the_kernel_is_refused_unless_it_is_known() -> None:
    with pytest.raises(ValueError, match="outside the kernel"):
        object_code.c_function("system")
    assert object_code.c_function("memset")


def test_the_memory_of_code_cannot_be_written_into() -> None:
    def nothing(values: np.ndarray) -> int:
        return len(values)

    symbol, code = compiler.compile_kernel(nothing, ("float64[1]",))  # type: ignore[arg-type]  # a plain function
    loaded = object_code.LoadedCode(code)
    place, rights = loaded.address(symbol), []
    for line in Path("/proc/self/maps").read_text().splitlines():
        first, last = (int(end, 16) for end in line.split()[0].split("-"))
        rights += [line.split()[1]] if first <= place < last else []
    assert rights == ["r-xp"]


def test_the_processor_is_named_with_its_features() -> None:
    assert "sse2" in object_code.processor().split()

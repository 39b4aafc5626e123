"""Kernels: machine code that is kept, and numba where none can be."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from liftgate.kernels import compiler

SOURCE = """
import numpy as np
from liftgate.kernels.compiler import compiled, kernel_helper

@kernel_helper
def scaled(value, by):
    return value * by

@compiled
def total(values, by, out):
    for i in range(values.shape[0]):
        for k in range(values.shape[1]):
            out[i] += scaled(values[i, k], by)
    return values.shape[0]
"""


def kernel(folder: Path, source: str = SOURCE) -> Callable[..., int]:
    """A kernel in a file of its own, as if it had just been installed."""
    path = folder / "kernels.py"
    path.write_text(source)
    spec = importlib.util.spec_from_file_location(f"kernels_of_{folder.name}", path)
    assert spec
    module = importlib.util.module_from_spec(spec)
    # Not `exec_module`: Python takes the bytecode of a file that has the same second and size as the one before.
    exec(compile(source, path, "exec"), module.__dict__)
    found: Callable[..., int] = module.total
    return found


def call(total: Callable[..., int]) -> list[float]:
    out = np.zeros(2)
    assert total(np.arange(6.0).reshape(2, 3), 2.0, out) == 2
    return out.tolist()


def test_a_kernel_is_compiled_once_and_kept_beside_its_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert call(kernel(tmp_path)) == [6.0, 24.0]
    assert len(list((tmp_path / "__pycache__").glob("*.kernel"))) == 1
    monkeypatch.setattr(compiler, "compile_kernel", lambda *_: pytest.fail("compiled again"))
    monkeypatch.setattr(compiler, "compile_with_numba", lambda *_: pytest.fail("numba was asked"))
    assert call(kernel(tmp_path)) == [6.0, 24.0]


def test_what_is_kept_is_used_without_numba(tmp_path: Path) -> None:
    call(kernel(tmp_path))
    program = f"""
import sys
sys.path.insert(0, {str(tmp_path)!r})
import numpy as np, kernels
out = np.zeros(1)
kernels.total(np.ones((1, 3)), 2.0, out)
assert out[0] == 6 and "numba" not in sys.modules
"""
    assert subprocess.run([sys.executable, "-c", program]).returncode == 0


@pytest.mark.parametrize("broken", ["code", "nothing of LLVM works", "nowhere to write"])
def test_where_machine_code_cannot_be_used_numba_gives_the_same_numbers(
    broken: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if broken == "code":
        call(kernel(tmp_path))
        for file in (tmp_path / "__pycache__").glob("*.kernel"):
            file.write_bytes(b"total\nnot an object")
    elif broken == "nowhere to write":
        monkeypatch.setattr(compiler, "cache_folders", lambda source: (Path("/proc/nowhere"),))
    else:
        monkeypatch.setattr(compiler, "link", _raises)
    assert call(kernel(tmp_path)) == [6.0, 24.0]


def test_a_change_of_the_file_is_a_new_kernel(tmp_path: Path) -> None:
    call(kernel(tmp_path))
    assert call(kernel(tmp_path, SOURCE.replace("value * by", "value + by"))) == [9.0, 18.0]


def test_columns_of_a_table_are_refused_instead_of_read_wrong(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="C-contiguous"):
        kernel(tmp_path)(np.ones((3, 2)).T, 1.0, np.zeros(2))


def _raises(*_: Any) -> None:
    raise RuntimeError("no linker here")


def test_a_damaged_kernel_is_compiled_again_not_run(tmp_path: Path) -> None:
    call(kernel(tmp_path))
    (kept,) = (tmp_path / "__pycache__").glob("*.kernel")
    whole = kept.read_bytes()
    kept.write_bytes(whole[:-200] + bytes(200))
    assert call(kernel(tmp_path)) == [6.0, 24.0]
    assert kept.read_bytes()[-200:] != bytes(200)


def test_with_an_llvm_that_was_not_tried_numba_does_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiler, "TESTED_LLVMLITE", ("0.0",))
    compiler.platform_key.cache_clear()
    assert call(kernel(tmp_path)) == [6.0, 24.0]
    assert not list((tmp_path / "__pycache__").glob("*.kernel"))

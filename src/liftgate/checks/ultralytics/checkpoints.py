"""What a checkpoint holds, read without executing anything.

A `.pt` file is a zip with a pickle inside (or, before torch 1.6, a bare pickle), and a pickle is a program: loading
one from a stranger runs it. Here its instructions are read by `pickletools` and followed on a stack of inert
values: a named global becomes its name, a call becomes nothing. That is enough to see every name the program would
import, the class names the detector was trained on and what Ultralytics wrote beside them.
"""

from __future__ import annotations

import io
import pickletools
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from liftgate.errors import DataError

_LARGEST = 256 << 20  # bytes of pickle; a detector's structure takes 0.1 to 5 MB
_LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
_MARK = object()

# What a detector's checkpoint needs to come alive: torch's tensors and layers, the model's own classes, containers.
_EXPECTED = (
    "torch._utils._rebuild_",
    "torch._tensor._rebuild",
    "torch.nn.modules.",
    "torch.nn.parameter.",
    "torch.storage.",
    "torch.serialization._get_layout",
    "ultralytics.",
    "models.yolo.",
    "models.common.",
    "models.experimental.",
    "collections.OrderedDict",
    "collections.defaultdict",
    "numpy.core.multiarray.",
    "numpy._core.multiarray.",
    "numpy.dtype",
    "numpy.ndarray",
    "pathlib.",
    "types.SimpleNamespace",
    "datetime.",
    "copyreg._reconstructor",
    "copy_reg._reconstructor",
    "_codecs.encode",
)
_EXPECTED_BUILTINS_TEXT = """
    set frozenset list dict tuple slice int float bool str bytes bytearray object range complex
"""
_EXPECTED_BUILTINS = frozenset(_EXPECTED_BUILTINS_TEXT.split())
_TORCH_VALUES = frozenset(["Size", "device", "dtype", "Tensor"])
# Modules and functions that no detector needs and every attack does.
_HOSTILE_MODULES_TEXT = """
    os posix nt subprocess sys socket shutil runpy importlib webbrowser pty ctypes urllib http requests pickle
    _pickle marshal code codeop asyncio multiprocessing threading signal tempfile platform pip site builtins
    __builtin__ operator functools timeit pdb bdb cProfile profile commands popen2 dill cloudpickle joblib
"""
_HOSTILE_MODULES = frozenset(_HOSTILE_MODULES_TEXT.split())


_TASKS = {
    f"ultralytics.nn.tasks.{name}Model": task
    for name, task in {
        **{"Detection": "detect", "Pose": "pose", "Segmentation": "segment", "Classification": "classify"},
        **{"OBB": "obb", "RTDETRDetection": "detect", "World": "detect"},
    }.items()
}


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a checkpoint file says about itself."""

    globals: tuple[str, ...]
    """Every `module.name` that loading it would import, sorted; `?` for one built while running"""
    names: Mapping[int, str] | None = None
    """Class names by number; None: none were found"""
    about: Mapping[str, str] = field(default_factory=dict)
    """version, license, date and docs as Ultralytics writes them, where present"""

    @property
    def task(self) -> str | None:
        """What the model in it was made for, by its class; None: it is none that is known."""
        return next((_TASKS[name] for name in self.globals if name in _TASKS), None)

    @property
    def hostile(self) -> tuple[str, ...]:
        """Names that run commands or code: no model needs them."""
        return tuple(name for name in self.globals if _is_hostile(name))

    @property
    def unknown(self) -> tuple[str, ...]:
        """Names that are neither expected in a detector's checkpoint nor known to be hostile."""
        return tuple(name for name in self.globals if not _is_expected(name) and not _is_hostile(name))


def read_checkpoint(path: Path) -> Checkpoint:
    """Return what a `.pt` file holds, without loading it.

    Raises:
        DataError: it is no checkpoint, or only a part of one, with the likely reason.
    """
    try:
        with path.open("rb") as file:
            head = file.read(64)
            if head.startswith(b"PK"):
                return _from_zip(path)
            if head.startswith(b"\x80"):
                file.seek(0)
                return _from_pickles(path, file.read(_LARGEST))
    except OSError as error:
        raise DataError("weights cannot be read", where=path, got=error.strerror or error) from error
    raise DataError("this is no checkpoint", where=path, expected="a zip or a pickle", got=_looks_like(head))


def _from_zip(path: Path) -> Checkpoint:
    try:
        with zipfile.ZipFile(path) as archive:
            inside = [entry for entry in archive.infolist() if entry.filename.rsplit("/", 1)[-1] == "data.pkl"]
            if not inside:
                raise DataError("a zip file, but no checkpoint: there is no data.pkl inside", where=path)
            if inside[0].file_size > _LARGEST:
                raise DataError(f"its data.pkl would unpack to {inside[0].file_size:,} bytes", where=path)
            return _from_pickles(path, archive.read(inside[0]))
    except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError, ValueError) as error:
        raise DataError(
            "the checkpoint is cut off or damaged: its zip directory cannot be read",
            where=path,
            got=f"{path.stat().st_size:,} bytes ({error})",
            hint="download it again, and compare the size",
        ) from error


def _from_pickles(path: Path, data: bytes) -> Checkpoint:
    machine = _Machine()
    stream = io.BytesIO(data)
    try:
        machine.follow(stream)
        if machine.last == _LEGACY_MAGIC:  # torch before 1.6: magic, protocol, system, model, one after another
            for _ in range(3):
                machine.follow(stream)
    except Exception as error:  # pickletools and a hostile stack raise ValueError, IndexError, KeyError, …
        raise DataError(
            "the checkpoint is cut off or damaged: its pickle cannot be followed to the end", where=path, got=error
        ) from error
    about: dict[str, str] = {
        key: str(machine.facts[key]) for key in ("version", "license", "date", "docs") if key in machine.facts
    }
    return Checkpoint(tuple(sorted(machine.globals)), machine.names, about)


class _Machine:
    """Follows a pickle's instructions with inert values: containers, numbers and text are kept, all else is None."""

    def __init__(self) -> None:
        self.globals: set[str] = set()
        self.names: dict[int, str] | None = None
        self.facts: dict[str, Any] = {}
        self.last: Any = None

    def follow(self, stream: io.BytesIO) -> None:
        """Run one pickle up to its STOP."""
        stack: list[Any] = []
        memo: dict[int, Any] = {}
        for opcode, argument, _ in pickletools.genops(stream):
            self._step(opcode, argument, stack, memo)
        self.last = stack.pop() if stack else None

    def _step(self, opcode: pickletools.OpcodeInfo, argument: Any, stack: list[Any], memo: dict[int, Any]) -> None:
        name = opcode.name
        if "PUT" in name or name == "MEMOIZE":
            memo[len(memo) if name == "MEMOIZE" else int(argument)] = stack[-1]
        elif name in {"GET", "BINGET", "LONG_BINGET"}:
            stack.append(memo[int(argument)])
        elif name in {"GLOBAL", "INST", "STACK_GLOBAL", "EXT1", "EXT2", "EXT4"}:
            self._import(name, argument, stack)
        elif name == "MARK":
            stack.append(_MARK)
        elif name == "DUP":
            stack.append(stack[-1])
        elif name in {"EMPTY_DICT", "EMPTY_LIST", "EMPTY_TUPLE", "EMPTY_SET"}:
            stack.append({} if name == "EMPTY_DICT" else () if name == "EMPTY_TUPLE" else [])
        elif name in {"SETITEM", "SETITEMS", "DICT"}:
            items = _cut(stack) if name != "SETITEM" else [stack.pop(), stack.pop()][::-1]
            if name == "DICT":
                stack.append({})
            self._set(stack[-1], items)
        elif name in {"APPEND", "APPENDS", "ADDITEMS", "LIST", "TUPLE", "FROZENSET"}:
            items = [stack.pop()] if name == "APPEND" else _cut(stack)
            if name in {"LIST", "TUPLE", "FROZENSET"}:
                stack.append(items)
            elif isinstance(stack[-1], list):
                stack[-1].extend(items)
        else:
            self._other(opcode, argument, stack)

    def _import(self, name: str, argument: Any, stack: list[Any]) -> None:
        """Note what a name would import; EXT names come from a registry that is not in the file."""
        if name == "STACK_GLOBAL":
            attribute, module = stack.pop(), stack.pop()
            known = isinstance(module, str) and isinstance(attribute, str)
            self.globals.add(f"{module}.{attribute}" if known else "?")
        else:
            if name == "INST":
                _cut(stack)
            self.globals.add("?" if name.startswith("EXT") else str(argument).replace(" ", ".", 1))
        stack.append(None)

    def _other(self, opcode: pickletools.OpcodeInfo, argument: Any, stack: list[Any]) -> None:
        """Everything else by what pickletools says of its effect on the stack."""
        before, after = opcode.stack_before, opcode.stack_after
        if pickletools.markobject in before:
            _cut(stack)
            before = before[: before.index(pickletools.markobject)]
        if before:
            del stack[-len(before) :]
        constant = {"NEWTRUE": True, "NEWFALSE": False}.get(opcode.name, argument)
        keep = len(after) == 1 and not before and isinstance(constant, str | int | float | bool)
        stack.extend([constant] if keep else [None] * len(after))

    def _set(self, target: Any, items: list[Any]) -> None:
        for key, value in zip(items[::2], items[1::2], strict=True):
            if not isinstance(key, str | int):
                continue
            if isinstance(target, dict):
                target[key] = value
            if key == "names":
                self.names = _class_names(value) or self.names
            elif isinstance(key, str) and isinstance(value, str):
                self.facts.setdefault(key, value)


def _cut(stack: list[Any]) -> list[Any]:
    """Take everything above the topmost mark off the stack, and the mark."""
    at = len(stack) - 1
    while stack[at] is not _MARK:
        at -= 1
    items = stack[at + 1 :]
    del stack[at:]
    return items


def _class_names(value: Any) -> dict[int, str] | None:
    pairs = list(value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ())
    good = pairs and all(isinstance(key, int) and isinstance(name, str) for key, name in pairs)
    return dict(pairs) if good else None


def _is_expected(name: str) -> bool:
    module, _, attribute = name.rpartition(".")
    if module in {"builtins", "__builtin__"}:
        return attribute in _EXPECTED_BUILTINS
    if module == "torch":
        return attribute in _TORCH_VALUES or attribute.endswith("Storage") or _is_dtype(attribute)
    return name.startswith(_EXPECTED)


def _is_dtype(name: str) -> bool:
    return name.startswith(("float", "bfloat", "int", "uint", "complex")) or name in {"half", "double", "long", "bool"}


def _is_hostile(name: str) -> bool:
    return name == "?" or (name.split(".", 1)[0] in _HOSTILE_MODULES and not _is_expected(name))


def _looks_like(head: bytes) -> str:
    if not head:
        return "an empty file"
    if head.startswith(b"version https://git-lfs"):
        return "a git-lfs pointer: the weights themselves were never downloaded"
    if head.lstrip().lower().startswith((b"<!doctype", b"<html", b"<?xml")):
        return "a web page: the download answered with an error or a login"
    if head.isascii():
        return f"a text file that begins {head[:24].decode('ascii')!r}"
    return f"bytes that begin {head[:8].hex()}"

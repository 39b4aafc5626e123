"""Which calls a checkpoint may make: functions that do no more, with these arguments, than rebuild a value."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from liftgate.checks.ultralytics.allowed_names import CALLED, CREATED, GlobalName

_MODEL_METHODS = re.compile(r"forward[a-z0-9_]*|[A-Z][A-Z_]*")
"""What checkpoints take from classes with getattr: a layer's forward, a member of an enumeration."""
CONTAINERS = {GlobalName("collections", name) for name in ("OrderedDict", "defaultdict", "Counter", "deque")} | {
    GlobalName("builtins", name) for name in ("set", "frozenset", "bytearray")
}
BASES = {GlobalName("builtins", name) for name in ("object", "dict", "list", "set", "tuple", "int", "float", "str")}
TEXTS = {GlobalName("_codecs", "encode"), GlobalName("builtins", "bytes"), GlobalName("builtins", "bytearray")}
"""What makes text, or what can be evaluated like it"""
SCALARS = {GlobalName(f"numpy.{core}.multiarray", "scalar") for core in ("core", "_core")}
DESCRIBING = CONTAINERS | BASES | TEXTS | SCALARS
"""What a description of a model could be made of while it is loaded, so that nobody has read it before"""
_CODECS = {"latin1", "latin-1", "utf-8", "utf8", "ascii"}
_LARGEST_BYTES = 64 << 20


class Made(NamedTuple):
    """A value that exists only when the pickle is loaded."""

    of: GlobalName | None
    """The class or function that it comes from, where that is known"""


def is_allowed_call(name: GlobalName, arguments: Any) -> bool:
    """Return whether an allowed function does with these arguments no more than rebuild a value."""
    if not (is_tuple(arguments) or type(arguments) is list):
        return False
    first = arguments[0] if arguments else None
    type_ = first if isinstance(first, GlobalName) else None
    match name.attribute:
        case "getattr":
            owner, attribute = [*arguments, None, None][:2]
            owner = owner.of if isinstance(owner, Made) else owner
            known = (isinstance(owner, GlobalName) and owner in CREATED) or owner == GlobalName(
                "torchvision.transforms.functional", "InterpolationMode"
            )
            return known and isinstance(attribute, str) and _MODEL_METHODS.fullmatch(attribute) is not None
        case "_reconstructor":
            base = arguments[1] if len(arguments) > 1 else None
            return type_ in CREATED | CALLED | BASES and base == GlobalName("builtins", "object")
        case "scalar":  # of the type `object` it returns whatever it is given
            value = arguments[1] if len(arguments) > 1 else b""
            return isinstance(value, bytes) or (isinstance(value, Made) and value.of in TEXTS)
        case "_rebuild_from_type_v2":
            inner = arguments[2] if len(arguments) > 2 else None
            return isinstance(first, GlobalName) and first.module == "torch._utils" and is_tuple(inner)
        case "defaultdict":
            return first is None or type_ in BASES | CONTAINERS
        case "encode":
            return len(arguments) < 2 or (isinstance(arguments[1], str) and arguments[1] in _CODECS)
        case "bytes" | "bytearray":
            return not isinstance(first, int) or first <= _LARGEST_BYTES
        case "set" | "frozenset" | "deque" | "Counter" | "OrderedDict":
            return first is None or isinstance(first, list | dict | str | bytes) or is_tuple(first)
        case "_reconstruct":
            return len(arguments) > 1 and arguments[1] in ((0,), [0])
    return True


def is_tuple(value: Any) -> bool:
    """Return whether a value is a tuple of the pickle, and no name or mark of this reader."""
    return isinstance(value, tuple) and not isinstance(value, GlobalName | Made)

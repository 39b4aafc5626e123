"""Follow a pickle's instructions on inert values: which names it would import and call, and what it contains.

Nothing is imported or called. A named global becomes its name, a call becomes a mark of what it would return. What is
called, created or changed has to be what a checkpoint needs, exactly as Python would resolve it; anything else is noted
as hostile, among it every way to reach a function by a detour: attributes named with dots, the extension registry,
methods that untrusted attributes replace, such as `append`, classes that are called instead of created.
"""

from __future__ import annotations

import _compat_pickle
import pickletools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import IO, Any

from liftgate.checks.ultralytics.allowed_calls import BASES, CONTAINERS, DESCRIBING, Made, is_allowed_call, is_tuple
from liftgate.checks.ultralytics.allowed_names import ALLOWED, CALLED, CREATED, GlobalName, is_foreign
from liftgate.checks.ultralytics.model_description import hostile_layers, is_plain_activation

MAX_STEPS = 1_000_000
"""Instructions that are followed, in about a second; the largest detectors with optimizer take a third of them"""
_MAX_HOSTILE = 40
_SHOWN = 120  # characters of a name

_MARK = object()


class _Set(list[Any]):
    """The items of a set."""


@dataclass
class PickleReader:
    """The names and facts found so far in the pickles of one file."""

    names: set[GlobalName] = field(default_factory=set)
    """Every name that loading would import"""
    hostile: dict[str, None] = field(default_factory=dict)
    """What runs commands or code, or may; in the order of the file"""
    unknown: dict[str, None] = field(default_factory=dict)
    """Names of other packages, which a detector does not need"""
    classes: list[Any] = field(default_factory=list)
    """Values of the key `names`"""
    image_size: object = None
    """The last value of the key `imgsz`"""
    facts: dict[str, str] = field(default_factory=dict)
    """Text values of the keys in ABOUT"""
    layers: dict[int, Sequence[Any]] = field(default_factory=dict)
    """Values of the keys `backbone` and `head`, each once; a pickle may add to a list later"""
    result: Any = None
    """What the last pickle leaves on the stack"""
    steps: int = 0

    def follow(self, stream: IO[bytes]) -> None:
        """Follow one pickle up to its STOP.

        Raises:
            ValueError, LookupError and others: it is no pickle, or cut off, or takes more than MAX_STEPS.
        """
        stack: list[Any] = []
        memo: dict[int, Any] = {}
        run = _Run(self, stack, memo)
        for opcode, argument, _ in pickletools.genops(stream):
            self.steps += 1
            if self.steps > MAX_STEPS:
                raise ValueError(f"more than {MAX_STEPS:,} instructions: no detector needs as many")
            run.step(opcode, argument)
        self.result = stack[-1] if stack else None
        for rows in self.layers.values():
            for layer in hostile_layers(rows):
                self.note(f"a layer {_short(layer)!r}")
            for row in rows:
                parts = [row] if isinstance(row, Made) or not isinstance(row, list | tuple) else row[2:3]
                if any(isinstance(part, Made) and part.of in DESCRIBING for part in parts):
                    self.note("a layer made while running")

    def note(self, what: str) -> None:
        """Record something hostile."""
        if len(self.hostile) < _MAX_HOSTILE:
            self.hostile.setdefault(what)

    def fact(self, key: object, value: object) -> None:
        """Record the value of a key of a dictionary or of an object's attributes."""
        if key == "names" and isinstance(value, dict | list) and len(self.classes) < 16:
            self.classes.append(value)
        elif key in ABOUT and isinstance(value, str):
            self.facts.setdefault(str(key), value[:1000])
        elif key == "imgsz" and isinstance(value, int | list):
            self.image_size = value
        elif key == "activation" and isinstance(value, str | bytes | bytearray) and not is_plain_activation(str(value)):
            self.note(f"activation {_short(str(value))!r}")
        elif (
            key in ("backbone", "head") and isinstance(value, list | tuple) and not isinstance(value, GlobalName | Made)
        ):
            self.layers[id(value)] = value
        elif key in _DESCRIBED and isinstance(value, Made) and value.of in DESCRIBING:
            self.note(f"{key} made while running")


ABOUT = ("version", "license", "date", "docs")
"""What Ultralytics writes about itself beside a model."""
_DESCRIBED = ("activation", "backbone", "head")
"""What Ultralytics builds a model from, and thereby evaluates and calls"""


class _Run:
    """One pickle being followed."""

    def __init__(self, reader: PickleReader, stack: list[Any], memo: dict[int, Any]) -> None:
        self.reader, self.stack, self.memo = reader, stack, memo
        self.protocol = 0

    def step(self, opcode: pickletools.OpcodeInfo, argument: Any) -> None:
        """Execute one instruction on inert values."""
        handler = _HANDLERS.get(opcode.name)
        if handler is not None:
            handler(self, argument)
        elif opcode.name in _CONSTANTS:
            self.stack.append(_CONSTANTS[opcode.name])
        elif not opcode.stack_before and len(opcode.stack_after) == 1:
            self.stack.append(argument)
        elif opcode.name != "FRAME":
            raise ValueError(f"instruction {opcode.name}")

    # Values

    def pop(self, argument: Any) -> None:
        self.stack.pop()

    def pop_mark(self, argument: Any) -> None:
        _cut(self.stack)

    def duplicate(self, argument: Any) -> None:
        self.stack.append(self.stack[-1])

    def mark(self, argument: Any) -> None:
        self.stack.append(_MARK)

    def stop(self, argument: Any) -> None:
        if not self.stack:
            raise ValueError("nothing on the stack at the end")

    def proto(self, argument: Any) -> None:
        self.protocol = int(argument)

    def put(self, argument: Any) -> None:
        self.memo[int(argument)] = self.stack[-1]

    def memoize(self, argument: Any) -> None:
        self.memo[len(self.memo)] = self.stack[-1]

    def get(self, argument: Any) -> None:
        self.stack.append(self.memo[int(argument)])

    def empty_dict(self, argument: Any) -> None:
        self.stack.append({})

    def empty_list(self, argument: Any) -> None:
        self.stack.append([])

    def empty_set(self, argument: Any) -> None:
        self.stack.append(_Set())

    def empty_tuple(self, argument: Any) -> None:
        self.stack.append(())

    def list_(self, argument: Any) -> None:
        self.stack.append(_cut(self.stack))

    def tuple_(self, argument: Any) -> None:
        self.stack.append(tuple(_cut(self.stack)))

    def frozenset_(self, argument: Any) -> None:
        self.stack.append(_Set(_cut(self.stack)))

    def tuple1(self, argument: Any) -> None:
        self._tuple(1)

    def tuple2(self, argument: Any) -> None:
        self._tuple(2)

    def tuple3(self, argument: Any) -> None:
        self._tuple(3)

    def _tuple(self, count: int) -> None:
        if len(self.stack) < count:
            raise IndexError("pop from an empty stack")
        items = tuple(self.stack[-count:])
        del self.stack[-count:]
        self.stack.append(items)

    def dict_(self, argument: Any) -> None:
        items = _cut(self.stack)
        self.stack.append({})
        self._set(items)

    def set_item(self, argument: Any) -> None:
        value, key = self.stack.pop(), self.stack.pop()
        self._set([key, value])

    def set_items(self, argument: Any) -> None:
        self._set(_cut(self.stack))

    def append(self, argument: Any) -> None:
        self._extend([self.stack.pop()])

    def appends(self, argument: Any) -> None:
        self._extend(_cut(self.stack))

    def _set(self, items: list[Any]) -> None:
        target = self.stack[-1]
        self._demand_container(target)
        for key, value in _pairs(items):
            if isinstance(target, dict) and isinstance(key, str | int):
                target[key] = value
            self.reader.fact(key, value)

    def _extend(self, items: list[Any]) -> None:
        target = self.stack[-1]
        self._demand_container(target)
        if isinstance(target, list):
            target.extend(items)

    def _demand_container(self, target: Any) -> None:
        """Only containers may be filled: any other object does it with a method, which attributes may replace."""
        if isinstance(target, list | dict) or (isinstance(target, Made) and target.of in CONTAINERS):
            return
        self.reader.note(f"a method of {_shown(target)}")

    # Names, calls and attributes

    def global_(self, argument: Any) -> None:
        module, _, attribute = str(argument).partition(" ")
        self._refer(module, attribute)

    def stack_global(self, argument: Any) -> None:
        attribute, module = self.stack.pop(), self.stack.pop()
        if isinstance(module, str) and isinstance(attribute, str):
            self._refer(module, attribute)
        else:
            self._made_while_running()

    def extension(self, argument: Any) -> None:
        self._made_while_running()

    def _made_while_running(self) -> None:
        self.reader.note("?")
        self.stack.append(Made(None))

    def _refer(self, module: str, attribute: str) -> None:
        name = _resolved(module, attribute, self.protocol)
        if len(self.reader.names) < MAX_STEPS:
            self.reader.names.add(name)
        if name not in ALLOWED:
            kind = self.reader.unknown if is_foreign(name) else self.reader.hostile
            if len(kind) < _MAX_HOSTILE:
                kind.setdefault(_short(str(name)))
        self.stack.append(name)

    def inst(self, argument: Any) -> None:
        arguments = _cut(self.stack)
        self.global_(argument)
        self._instantiate(self.stack.pop(), arguments)

    def obj(self, argument: Any) -> None:
        called, *arguments = _cut(self.stack)
        self._instantiate(called, arguments)

    def _instantiate(self, called: Any, arguments: list[Any]) -> None:
        """Call it, or create it where it is a class without arguments, as Python does."""
        if isinstance(called, GlobalName) and called in CREATED and not arguments:
            self.stack.append(Made(called))
        else:
            self._call(called, arguments)

    def reduce(self, argument: Any) -> None:
        arguments, called = self.stack.pop(), self.stack.pop()
        self._call(called, arguments)

    def _call(self, called: Any, arguments: Any) -> None:
        name = called if isinstance(called, GlobalName) else None
        if name is None:
            if "?" not in self.reader.hostile:
                self.reader.note(f"a call of {_shown(called)}")
        elif name not in CALLED:
            if name in ALLOWED or is_foreign(name):
                self.reader.note(f"{_short(str(name))}()")
        elif not is_allowed_call(name, arguments):
            self.reader.note(str(name))
        elif name in CONTAINERS:
            self._look_into(arguments)
        self.stack.append(Made(name))

    def _look_into(self, arguments: Sequence[Any]) -> None:
        """Take up keys and values that become a dictionary by a call: OrderedDict([[key, value], …])."""
        for argument in arguments:
            pairs = argument if is_tuple(argument) or type(argument) is list else ()
            self.reader.steps += len(pairs)
            for pair in pairs:
                if (is_tuple(pair) or type(pair) is list) and len(pair) == 2:
                    self.reader.fact(*pair)

    def new_object(self, argument: Any) -> None:
        self.stack.pop()
        self._create(self.stack.pop())

    def new_object_with_names(self, argument: Any) -> None:
        self.stack.pop()
        self.new_object(argument)

    def _create(self, cls: Any) -> None:
        if not isinstance(cls, GlobalName):
            self.reader.note(f"a call of {_shown(cls)}")
            cls = None
        elif cls in ALLOWED and cls not in CREATED | CALLED | BASES:
            self.reader.note(f"{cls}()")
        self.stack.append(Made(cls))

    def build(self, argument: Any) -> None:
        state, target = self.stack.pop(), self.stack[-1]
        if isinstance(target, GlobalName):
            self.reader.note(f"attributes of {target}")
        for attributes in state if is_tuple(state) else (state,):
            if isinstance(attributes, Made) and attributes.of in CONTAINERS:
                self.reader.note(f"attributes of {_shown(target)} that a call makes")
            for key, value in attributes.items() if isinstance(attributes, dict) else ():
                if isinstance(key, str) and key.startswith("__") and key.endswith("__"):
                    self.reader.note(f"the attribute {_short(key)} of {_shown(target)}")
                self.reader.fact(key, value)

    def persistent(self, argument: Any) -> None:
        """A storage of numbers outside the pickle, or, before torch 1.0, a class with its source."""
        self._persistent(argument)

    def binary_persistent(self, argument: Any) -> None:
        self._persistent(self.stack.pop())

    def _persistent(self, id_: Any) -> None:
        if is_tuple(id_) and len(id_) > 1 and id_[0] == "module":
            self.stack.append(id_[1])
            return
        if not (is_tuple(id_) and id_ and id_[0] == "storage"):
            self.reader.note("a persistent id that torch does not write")
        self.stack.append(Made(None))


_HANDLERS: dict[str, Callable[[_Run, Any], None]] = {
    **{"POP": _Run.pop, "POP_MARK": _Run.pop_mark, "DUP": _Run.duplicate, "MARK": _Run.mark, "STOP": _Run.stop},
    **{"PROTO": _Run.proto, "MEMOIZE": _Run.memoize},
    **dict.fromkeys(("PUT", "BINPUT", "LONG_BINPUT"), _Run.put),
    **dict.fromkeys(("GET", "BINGET", "LONG_BINGET"), _Run.get),
    **{"EMPTY_DICT": _Run.empty_dict, "EMPTY_LIST": _Run.empty_list, "EMPTY_SET": _Run.empty_set},
    **{"EMPTY_TUPLE": _Run.empty_tuple, "LIST": _Run.list_, "TUPLE": _Run.tuple_, "FROZENSET": _Run.frozenset_},
    **{"TUPLE1": _Run.tuple1, "TUPLE2": _Run.tuple2, "TUPLE3": _Run.tuple3, "DICT": _Run.dict_},
    **{"SETITEM": _Run.set_item, "SETITEMS": _Run.set_items, "APPEND": _Run.append},
    **{"APPENDS": _Run.appends, "ADDITEMS": _Run.appends},
    **{"GLOBAL": _Run.global_, "STACK_GLOBAL": _Run.stack_global, "INST": _Run.inst, "OBJ": _Run.obj},
    **dict.fromkeys(("EXT1", "EXT2", "EXT4"), _Run.extension),
    **{"REDUCE": _Run.reduce, "NEWOBJ": _Run.new_object, "NEWOBJ_EX": _Run.new_object_with_names, "BUILD": _Run.build},
    **{"PERSID": _Run.persistent, "BINPERSID": _Run.binary_persistent},
}
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}


def _resolved(module: str, attribute: str, protocol: int) -> GlobalName:
    """Return the name as Python 3 imports it; pickles of protocol 2 and before may use Python 2's names."""
    if protocol < 3:
        pair = _compat_pickle.NAME_MAPPING.get((module, attribute))
        module, attribute = pair or (_compat_pickle.IMPORT_MAPPING.get(module, module), attribute)
    return GlobalName(module, attribute)


def _cut(stack: list[Any]) -> list[Any]:
    """Take everything above the topmost mark off the stack, and the mark."""
    at = len(stack) - 1
    while stack[at] is not _MARK:
        at -= 1
        if at < 0:
            raise IndexError("no mark on the stack")
    items = stack[at + 1 :]
    del stack[at:]
    return items


def _pairs(items: Sequence[Any]) -> Iterator[tuple[Any, Any]]:
    if len(items) % 2:
        raise ValueError("a key without a value")
    return zip(items[::2], items[1::2], strict=True)


def _shown(value: Any) -> str:
    if isinstance(value, Made):
        return f"a {value.of}" if value.of else "a value made while running"
    return _short(str(value)) if isinstance(value, GlobalName) else f"a {type(value).__name__}"


def _short(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"

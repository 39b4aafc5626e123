"""Read YAML as plain values, with the line of every key.

PyYAML's own `load` is not used: it drops line numbers, lets the second of two equal keys win, reads the key `on` as
True and `1e-3` as a string (YAML 1.1), and an alias bomb of a kilobyte fills the memory. So the text is composed into
nodes and read here by the core schema of YAML 1.2: `true`/`false` only, numbers in their usual forms, keys always
strings. Anchors, aliases and `<<` merges work, within a budget.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import yaml

from liftgate.documents import DocumentError, Limits, compose_yaml

MAX_BYTES = 256 * 1024
MAX_DEPTH = 32
MAX_VALUES = 10_000
"""Values after aliases are expanded; a large study has a few hundred."""

_LIMITS = Limits(MAX_BYTES, MAX_DEPTH, 2 * MAX_VALUES)  # a value may have a key
_TOO_MANY = f"more than {MAX_VALUES} values"

Path = tuple[str | int, ...]
"""Keys and list indices from the top of the document."""

_INT = re.compile(r"[-+]?[0-9]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_SPECIAL = {".inf": float("inf"), "+.inf": float("inf"), "-.inf": float("-inf"), ".nan": float("nan")}
_WORDS: dict[str, object] = {"": None, "~": None, "null": None, "true": True, "false": False}
_TAG = "tag:yaml.org,2002:"
_SYNTAX_HINTS = {
    "\\t": "YAML indents with spaces",
    "mapping values are not allowed": "put a text that has `: ` in it in quotes",
    "expected ',' or ']'": "a list ends with ]",
    "expected ',' or '}'": "a mapping ends with }",
    "scanning a quoted scalar": "the closing quote is missing",
}
"""Message of PyYAML → hint"""


@dataclass(frozen=True, slots=True)
class Problem:
    """A mistake in the document."""

    where: str
    """file:line, or the `--set` that it came with"""
    path: Path
    message: str
    hint: str | None = None

    def lines(self) -> list[str]:
        """Return the mistake, and its hint where it has one."""
        key = dotted(self.path)
        text = f"{self.where}: {key}: {self.message}" if key else f"{self.where}: {self.message}"
        return [text, f"  hint: {self.hint}"] if self.hint else [text]


@dataclass(slots=True)
class Source:
    """A document: its value, the place of each key, and its mistakes."""

    name: str
    """What to call the file in messages."""
    value: Any = None
    places: dict[Path, str] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def where(self, path: Path) -> str:
        """Return the place of the nearest key at or above `path`."""
        while path and path not in self.places:
            path = path[:-1]
        return self.places.get(path, f"{self.name}:1")

    def drop_places(self, path: Path) -> None:
        """Drop the places of all keys below `path`, whose value has been replaced."""
        self.places = {known: place for known, place in self.places.items() if known[: len(path)] != path}

    def add_problem(self, path: Path, message: str, hint: str | None = None) -> None:
        """Add a problem at a key."""
        self.problems.append(Problem(self.where(path), path, message, hint))


def dotted(path: Path) -> str:
    """Return a path as `--set` takes it.

    >>> dotted(("arms", "single", 0, "data"))
    'arms.single.0.data'
    """
    return ".".join(map(str, path))


def read(text: str, name: str) -> Source:
    """Read one YAML document; its mistakes are in `.problems`, never in an exception."""
    source = Source(name)
    if len(text.encode("utf-8", "surrogatepass")) > MAX_BYTES:
        source.add_problem((), f"larger than {MAX_BYTES // 1024} KiB: a study is a page of text")
        return source
    try:
        node = compose_yaml(text, _LIMITS, loader=yaml.SafeLoader)  # its messages are better than libyaml's
        if node is not None:
            source.value = _Reader(source).value(node, ())
    except DocumentError as error:
        source.places[()] = f"{source.name}:{error.line or 1}"
        source.add_problem((), f"{_TOO_MANY}: aliases inside aliases?" if "values" in error.problem else error.problem)
    except yaml.MarkedYAMLError as error:
        _add_syntax_problem(source, error)
    except yaml.YAMLError as error:  # the reader: a character that YAML does not allow
        source.add_problem((), f"not YAML: {' '.join(str(error).split())}")
    except (ValueError, OverflowError) as error:  # PyYAML on "\UFFFFFFFF"
        source.add_problem((), f"not YAML: {error}")
    except _TooMany:
        source.add_problem((), f"{_TOO_MANY}: aliases inside aliases?")
    return source


def scalar(text: str) -> Any:
    """Return what an unquoted scalar means in YAML 1.2's core schema.

    >>> scalar("1e-3"), scalar("on"), scalar("true"), scalar("007")
    (0.001, 'on', True, 7)
    """
    if text.lower() in _WORDS and text in (text.lower(), text.capitalize(), text.upper()):
        return _WORDS[text.lower()]
    if _INT.fullmatch(text) and len(text) < 100:
        return int(text)
    if _FLOAT.fullmatch(text):
        return float(text)
    return _SPECIAL.get(text.lower(), text)


def _add_syntax_problem(source: Source, error: yaml.MarkedYAMLError) -> None:
    mark = error.problem_mark or error.context_mark
    line = mark.line + 1 if mark else 1
    begun = error.context_mark.line + 1 if error.context_mark else line
    context = f"{error.context} (begun in line {begun})" if error.context and begun != line else error.context
    words = " ".join(part for part in (context, error.problem) if part)
    hint = next((hint for sign, hint in _SYNTAX_HINTS.items() if sign in words), None)
    source.problems.append(Problem(f"{source.name}:{line}", (), f"not YAML: {words}", hint))


class _TooMany(Exception):
    pass


class _Reader:
    """Converts nodes to values and records their places."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.count = 0
        self.open: set[int] = set()

    def value(self, node: yaml.Node, path: Path) -> Any:
        self.count += 1
        if self.count > MAX_VALUES:
            raise _TooMany
        self.source.places.setdefault(path, self._place(node))
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node, path)
        if id(node) in self.open:
            self.source.add_problem(path, "an alias that contains itself")
            return None
        read: Callable[[Any, Path], Any] = self._mapping if isinstance(node, yaml.MappingNode) else self._sequence
        self.open.add(id(node))
        try:
            return read(node, path)
        finally:
            self.open.discard(id(node))

    def _scalar(self, node: yaml.ScalarNode, path: Path) -> Any:
        self._refuse_tag(node, path, ("str", "int", "float", "bool", "null", "timestamp", "value", "merge"))
        self._refuse_unwritable(node.value, path)
        return scalar(node.value) if node.style is None else node.value

    def _sequence(self, node: yaml.SequenceNode, path: Path) -> list[Any]:
        self._refuse_tag(node, path, ("seq",))
        return [self.value(item, (*path, index)) for index, item in enumerate(node.value)]

    def _mapping(self, node: yaml.MappingNode, path: Path) -> dict[str, Any]:
        self._refuse_tag(node, path, ("map",))
        result: dict[str, Any] = {}
        lines: dict[str, int] = {}
        merges = []
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                self.source.places[path] = self._place(key_node)
                self.source.add_problem(path, "a key must be a word")
            elif key_node.value == "<<" and key_node.style is None:
                merges.append(value_node)
            elif (key := key_node.value) in lines:
                here = self._place(key_node)
                message = f"the key `{key}` is given twice: line {lines[key]} and line {key_node.start_mark.line + 1}"
                self.source.problems.append(Problem(here, (*path, key), message, "keep one of them"))
            else:
                lines[key] = key_node.start_mark.line + 1
                self._refuse_unwritable(key, path)
                self.source.places.setdefault((*path, key), self._place(key_node))
                result[key] = self.value(value_node, (*path, key))
        for merge in merges:
            self._merge(merge, path, result)
        return result

    def _merge(self, node: yaml.Node, path: Path, result: dict[str, Any]) -> None:
        parts = node.value if isinstance(node, yaml.SequenceNode) else [node]
        for part in parts:
            merged = self.value(part, path)
            if not isinstance(merged, dict):
                self.source.add_problem(path, "`<<` takes a mapping")
                continue
            for key, value in merged.items():
                result.setdefault(key, value)

    def _refuse_tag(self, node: yaml.Node, path: Path, allowed: tuple[str, ...]) -> None:
        if node.tag.removeprefix(_TAG) not in allowed:
            self.source.add_problem(path, f"the YAML tag `{node.tag}` is not read", "write the plain value")

    def _refuse_unwritable(self, text: str, path: Path) -> None:
        # "\0" and "\ud800" are YAML, but no file name and no UTF-8.
        if "\0" in text or any("\ud800" <= char <= "\udfff" for char in text):
            self.source.add_problem(path, f"a character that no file can hold in {text[:40]!r}")

    def _place(self, node: yaml.Node) -> str:
        return f"{self.source.name}:{node.start_mark.line + 1}"

"""Parse untrusted YAML, JSON and XML; nothing else in Liftgate does.

A text of a kilobyte can cost a parser gigabytes, minutes or the process: aliases inside aliases, a hundred thousand
brackets, a number of a million digits, entities inside entities. Every function here counts values before it builds
them, and raises `DocumentError` when `Limits` are exceeded. Nothing here runs code, opens another file or uses the
network: YAML tags other than the plain ones, external entities and DTDs are refused.
"""

from __future__ import annotations

import io
import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Literal, NamedTuple

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

    import yaml

WITHOUT_REPEATED_KEYS = 4 << 20  # bytes of JSON: looking at each key doubles the time
_MERGE_TAG = "tag:yaml.org,2002:merge"
_XML_CHUNK = 1 << 15  # small: all elements of a chunk are held at once
# PyYAML reads 1:30:00 in base 60, one digit at a time, each step longer than the one before.
_NUMBER = re.compile(r"[-+.:_0-9a-fxo]+", re.IGNORECASE)
# A string that is not closed matches to the end: to look for others inside it would be quadratic.
_JSON_BRACKETS = re.compile(rb'"(?:[^"\\]++|\\.)*+"?|[\[\]{}]', re.DOTALL)


class DocumentError(ValueError):
    """A document is malformed, or exceeds a limit."""

    def __init__(self, problem: str, line: int | None = None) -> None:
        super().__init__(problem if line is None else f"line {line}: {problem}")
        self.problem = problem
        self.line = line
        """From 1; None: unknown"""

    def place(self, path: Path | str) -> str:
        """Return `path:line`, or the path alone where the line is unknown."""
        return str(path) if self.line is None else f"{path}:{self.line}"


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits on the size of a document."""

    size: int = 4 << 20
    """Bytes"""
    depth: int = 50
    """Nesting of lists, mappings or elements"""
    nodes: int = 400_000
    """Values, including keys; in YAML after expansion of aliases"""
    number_length: int = 400
    """Characters of a number"""


SMALL = Limits(size=1 << 20, depth=50, nodes=50_000)
"""For settings that people write: a mapping, merge rules, a run's arguments."""
LARGE = Limits(size=1 << 30, depth=50, nodes=100_000_000)
"""For files that have a line for every image or detection."""


def read_limited(path: Path, limits: Limits = SMALL) -> bytes:
    """Return the bytes of a regular file, at most `limits.size` of them.

    Raises:
        DocumentError: the file is too large, or not a regular file (a pipe or a device may never end).
        OSError: the file cannot be read.
    """
    if path.exists() and not path.is_file():
        raise DocumentError("not a regular file")
    with path.open("rb") as file:
        too_large = os.fstat(file.fileno()).st_size > limits.size  # a gigabyte need not be read to be refused
        data = b"" if too_large else file.read(limits.size + 1)
    _require_size(limits.size + 1 if too_large else len(data), limits)
    return data


def _require_size(n_bytes: int, limits: Limits) -> None:
    if n_bytes > limits.size:
        raise DocumentError(f"larger than {_size_text(limits.size)}")


def load_yaml(path: Path, limits: Limits = SMALL) -> Any:
    """Return the value of a YAML file as plain Python values, by the rules of `parse_yaml`.

    Raises:
        DocumentError: not UTF-8, not YAML, or over a limit.
        OSError: the file cannot be read.
    """
    return parse_yaml(read_limited(path, limits), limits)


def parse_yaml(text: str | bytes, limits: Limits = SMALL, *, repeated_keys: bool = False) -> Any:
    r"""Return the value of one YAML 1.1 document, as PyYAML's safe loader (and so Ultralytics) reads it.

    >>> parse_yaml("names: {0: cat, 1: dog}")
    {'names': {0: 'cat', 1: 'dog'}}
    >>> parse_yaml("a: &a [x, x]\nb: [*a, *a]", Limits(nodes=10))
    Traceback (most recent call last):
    liftgate.documents.DocumentError: line 1: more than 10 values, after expansion of aliases

    Args:
        text: the document.
        limits: of its size, depth and number of values.
        repeated_keys: take the last value of a key that is there twice, as Ultralytics does; the caller reports it.

    Raises:
        DocumentError: not UTF-8, not YAML, a tag that is not plain, a key that is there twice, or over a limit.
    """
    import yaml

    decoded = decode(text, limits)
    try:
        node = compose_yaml(decoded, limits, merge_keys=False)
        if not repeated_keys:
            _refuse_repeated_keys(node)
        return None if node is None else _loader()(decoded).construct_document(node)
    except DocumentError:
        raise
    except yaml.MarkedYAMLError as error:
        raise _syntax_error(error, decoded) from None
    except (yaml.YAMLError, ValueError, OverflowError, RecursionError) as error:  # an impossible date
        raise DocumentError((str(error).splitlines() or [""])[0][:200]) from None


def compose_yaml(
    text: str, limits: Limits = SMALL, *, merge_keys: bool = True, loader: type[yaml.SafeLoader] | None = None
) -> yaml.Node | None:
    """Return the root node of one YAML document, after counting its expanded values; None: it is empty.

    Args:
        text: the document.
        limits: limits of depth, nodes and number lengths.
        merge_keys: False refuses `<<`: 24 lines of merges make 16 million keys.
        loader: None: libyaml's, where it is installed.

    Raises:
        DocumentError: an alias inside itself, or over a limit.
        yaml.YAMLError: not YAML; with the place in the text.
    """
    _scan_events(text, limits, merge_keys, loader or _loader())
    node: yaml.Node | None = (loader or _loader())(text).get_single_node()
    if node is not None:
        _check_aliases(node, limits)
    return node


def decode(text: str | bytes, limits: Limits = SMALL) -> str:
    """Return UTF-8 bytes as text, without a byte-order mark.

    Raises:
        DocumentError: it is larger than `limits.size`, or not UTF-8.
    """
    _require_size(len(text), limits)
    if isinstance(text, str):
        _require_size(len(text.encode("utf-8", "surrogatepass")), limits)
        return text
    try:
        return text.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = text.count(b"\n", 0, error.start) + 1
        raise DocumentError(f"not UTF-8: {error.reason} at byte {error.start}", line) from None


def load_json(path: Path, limits: Limits = SMALL) -> Any:
    """Return the value of a JSON file.

    Raises:
        DocumentError: not JSON, or over a limit.
        OSError: the file cannot be read.
    """
    return parse_json(read_limited(path, limits), limits)


def parse_json(text: str | bytes, limits: Limits = SMALL) -> Any:
    """Return the value of a JSON document. NaN and Infinity, which are not JSON but common, are accepted.

    A key that is there twice is refused up to 4 MiB, where people and strangers write: of two values any reader takes
    another one.

    >>> parse_json('{"a": [1, 2]}')
    {'a': [1, 2]}
    >>> parse_json("[" * 60 + "]" * 60)
    Traceback (most recent call last):
    liftgate.documents.DocumentError: nested more than 50 deep

    Raises:
        DocumentError: not UTF-8, not JSON, or over a limit.
    """
    decoded = decode(text, limits)
    _check_json(decoded.encode("utf-8", "surrogatepass"), limits)
    try:
        return json.loads(decoded, object_pairs_hook=unique_keys if len(decoded) <= WITHOUT_REPEATED_KEYS else None)
    except DocumentError:
        raise
    except json.JSONDecodeError as error:
        raise DocumentError(f"{error.msg} at column {error.colno}", error.lineno) from None
    except (ValueError, RecursionError) as error:  # an integer with more digits than Python converts
        raise DocumentError(str(error).split(";")[0]) from None


class XmlEvent(NamedTuple):
    """The start or the end of an element."""

    kind: Literal["start", "end"]
    element: Element
    depth: int
    """Number of open elements; this one is counted at its start, not at its end"""


def parse_xml(data: bytes, limits: Limits = Limits()) -> Element:
    """Return the root element of an XML document.

    Raises:
        DocumentError: not XML, entities or a DTD, or over a limit.
    """
    _require_size(len(data), limits)
    roots = [event.element for event in iterate_xml(io.BytesIO(data), limits) if event.depth == 1]
    if not roots:
        raise DocumentError("no element found")
    return roots[0]


def iterate_xml(file: IO[bytes], limits: Limits = Limits()) -> Iterator[XmlEvent]:
    """Yield the starts and ends of elements as they are read; the caller clears the elements that it has used.

    `limits.nodes` counts elements over the whole document; `limits.size` bounds one tag with its attributes, and the
    text between two tags.

    Raises:
        DocumentError: not XML, entities or a DTD, or over a limit.
    """
    from xml.etree.ElementTree import ParseError

    from defusedxml import DefusedXmlException
    from defusedxml.ElementTree import iterparse

    depth = count = 0
    try:
        for kind, element in iterparse(_BoundedReader(file, limits.size), events=("start", "end"), forbid_dtd=True):
            starts = kind == "start"
            depth += 1 if starts else -1
            count += starts
            if depth > limits.depth:
                raise DocumentError(f"nested more than {limits.depth} deep")
            if count > limits.nodes:
                raise DocumentError(f"more than {limits.nodes:,} elements")
            yield XmlEvent("start" if starts else "end", element, depth)
    except ParseError as error:
        raise DocumentError(str(error), error.position[0]) from None
    except DefusedXmlException as error:
        raise DocumentError(f"{type(error).__name__}: {error}"[:200]) from None
    except (LookupError, ValueError) as error:  # an encoding that Python does not know, or that expat cannot read
        if isinstance(error, DocumentError):
            raise
        raise DocumentError(str(error)[:200]) from None


class _BoundedReader:
    """Reads the bytes of an XML file, and stops at a tag or text that is too long.

    No tag, attribute or text contains `<`, so the bytes between two of them are one token. Expat before 2.6 parses an
    incomplete token again from its start with every chunk.
    """

    def __init__(self, file: IO[bytes], largest: int) -> None:
        self._file = file
        self._largest = largest
        self._since_tag = 0

    def read(self, _size: int = -1) -> bytes:
        chunk = self._file.read(_XML_CHUNK)
        last = chunk.rfind(b"<")
        self._since_tag = self._since_tag + len(chunk) if last < 0 else len(chunk) - last
        if self._since_tag > self._largest:
            raise DocumentError(f"an element larger than {_size_text(self._largest)}")
        return chunk


def _loader() -> Any:
    # libyaml if installed: twenty times as fast. Deep nesting would exhaust its stack, so events are counted first.
    import yaml

    return getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def _scan_events(text: str, limits: Limits, merge_keys: bool, loader: type[yaml.SafeLoader]) -> None:
    """Refuse text that would cost a YAML library minutes or gigabytes, by its events, before nodes are built."""
    import yaml

    depth, count, problem = 0, 0, None
    event: Any  # libyaml's marks are a type of their own
    for event in yaml.parse(text, Loader=loader):
        if isinstance(event, yaml.NodeEvent):
            count += 1
            problem = f"more than {limits.nodes:,} values" if count > limits.nodes else None
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            problem = f"nested more than {limits.depth} deep" if depth > limits.depth else problem
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        elif isinstance(event, yaml.ScalarEvent):
            if not merge_keys and (event.tag == _MERGE_TAG or (event.value == "<<" and event.implicit[0])):
                problem = "the merge key << is not read: write the keys out"
            elif len(event.value) > limits.number_length and event.implicit[0] and _NUMBER.fullmatch(event.value):
                problem = f"a number of {len(event.value):,} characters"
        if problem:
            raise DocumentError(problem, event.start_mark.line + 1)


def _check_aliases(root: yaml.Node, limits: Limits) -> None:
    """Refuse aliases that expand to too many values, or to themselves: nine lines can expand to a billion values.

    An anchor comes before its aliases and is measured once, so the recursion is no deeper than the text is nested.
    """
    measured: dict[int, tuple[int, int]] = {}
    unfinished: set[int] = set()

    def measure(node: yaml.Node) -> tuple[int, int]:
        if id(node) in measured:
            return measured[id(node)]
        line = node.start_mark.line + 1
        if id(node) in unfinished:
            raise DocumentError("an alias that contains itself", line)
        unfinished.add(id(node))
        count, depth = 1, 0
        for item in node.value if isinstance(node.value, list) else ():
            for child in item if isinstance(item, tuple) else (item,):
                below = measure(child)
                count, depth = count + below[0], max(depth, below[1] + 1)
        if count > limits.nodes:
            raise DocumentError(f"more than {limits.nodes:,} values, after expansion of aliases", line)
        if depth > limits.depth:
            raise DocumentError(f"nested more than {limits.depth} deep, after expansion of aliases", line)
        unfinished.discard(id(node))
        measured[id(node)] = (count, depth)
        return count, depth

    measure(root)


def _refuse_repeated_keys(root: yaml.Node | None) -> None:
    """Refuse a mapping that has a key twice: a reader would silently take the last one."""
    import yaml

    seen: set[int] = set()
    waiting = [root] if root is not None else []
    while waiting:
        node = waiting.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        keys: set[tuple[str, str]] = set()
        for item in node.value if isinstance(node.value, list) else ():
            waiting += item if isinstance(item, tuple) else (item,)
            if isinstance(item, tuple) and isinstance(item[0], yaml.ScalarNode):
                key = (item[0].tag, item[0].value)
                if key in keys:
                    raise DocumentError(f"the key {item[0].value!r:.60} is there twice", item[0].start_mark.line + 1)
                keys.add(key)


def unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object of JSON, for `object_pairs_hook`; refuse a key that is there twice."""
    found = dict(pairs)
    if len(found) < len(pairs):
        seen: set[str] = set()
        repeated = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise DocumentError(f"the key {repeated!r:.60} is there twice")
    return found


def _check_json(data: bytes, limits: Limits) -> None:
    depth = 0
    if data.count(b",") + data.count(b"[") + data.count(b"{") > limits.nodes:
        raise DocumentError(f"more than {limits.nodes:,} values")
    if data.count(b"[") + data.count(b"{") <= limits.depth:
        return
    for match in _JSON_BRACKETS.finditer(data):
        first = match[0][:1]
        depth += (first in b"[{") - (first in b"]}")
        if depth > limits.depth:
            raise DocumentError(f"nested more than {limits.depth} deep")


def _syntax_error(error: yaml.MarkedYAMLError, text: str) -> DocumentError:
    mark = error.problem_mark or error.context_mark
    last = text.rstrip("\n").count("\n")  # libyaml means the line after it where the text ends too early
    return DocumentError((error.problem or "not YAML")[:200], min(mark.line, last) + 1 if mark else None)


def _size_text(n_bytes: int) -> str:
    unit, factor = ("MiB", 1 << 20) if n_bytes >= 1 << 20 else ("KiB", 1 << 10)
    return f"{n_bytes // factor} {unit}" if n_bytes >= factor else f"{n_bytes} bytes"

"""Read data.yaml: keys, class names and keypoints, with the line of each key.

`download:` is a script that Ultralytics runs when the val folder is missing. Here it is text in `raw`, never run.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from liftgate.data.core.dataset import Fault, Keypoints
from liftgate.documents import DocumentError, Limits, compose_yaml, decode, parse_yaml, read_limited
from liftgate.errors import DataError

_LIMITS = Limits()
_MOST_CLASSES = 100_000


@dataclass(slots=True)
class DataYaml:
    """Contents of a data.yaml."""

    path: Path
    keys: Mapping[str, Any]
    lines: Mapping[str, int]
    faults: list[Fault] = field(default_factory=list)
    base: Path | None = None
    """Folder of the images where no data.yaml names it; None: the YAML's `path`"""

    def where(self, key: str) -> str:
        """Return file:line of a key."""
        return f"{self.path}:{self.lines[key]}" if key in self.lines else str(self.path)

    def fault(self, kind: str, key: str, message: str) -> None:
        """Record a fault at the line of a key."""
        self.faults.append(Fault(kind, self.where(key), message))


def load_data_yaml(path: Path) -> DataYaml:
    """Read a data.yaml.

    Raises:
        DataError: missing, not YAML (with the line), or not a mapping.
    """
    try:
        text = decode(read_limited(path, _LIMITS), _LIMITS)
        keys = parse_yaml(text, _LIMITS, repeated_keys=True)  # a fault each, below
        node = compose_yaml(text, _LIMITS)
    except OSError as error:
        raise DataError("cannot read data.yaml", where=path, got=error.strerror) from None
    except DocumentError as error:
        raise DataError("not valid YAML", where=error.place(path), got=error.problem) from None
    if not isinstance(keys, dict):
        raise DataError("not a data.yaml", where=path, expected="keys such as train, val, names", got=_kind(keys))
    lines = {key.value: key.start_mark.line + 1 for key, _ in node.value} if isinstance(node, yaml.MappingNode) else {}
    document = DataYaml(path, {str(key): value for key, value in keys.items()}, lines)
    document.faults += _duplicate_keys(path, node)
    return document


def _duplicate_keys(path: Path, node: yaml.Node | None, inside: str = "") -> Iterator[Fault]:
    """Yield a fault for each key that occurs twice in one mapping: YAML silently uses the last."""
    if not isinstance(node, yaml.MappingNode):
        return
    seen: dict[str, int] = {}
    for key, value in node.value:
        text, line = str(key.value), key.start_mark.line + 1
        if text in seen:
            what = f"{inside}{text} is also on line {seen[text]}; the last one is used"
            yield Fault("key_twice", f"{path}:{line}", what)
        seen[text] = line
        yield from _duplicate_keys(path, value, f"{inside}{text}: ")


def class_names(document: DataYaml) -> tuple[str, ...]:
    """Return the class names in index order; `nc` alone gives class_0, class_1 and so on.

    Raises:
        DataError: neither `names` nor `nc`, or of an invalid type.
    """
    names, count = document.keys.get("names"), _count(document)
    if names is None:
        if count is None:
            raise DataError("no class names", where=document.path, expected="the key names (or nc)")
        return tuple(f"class_{index}" for index in range(count))
    if isinstance(names, dict):
        names = _by_index(document, names)
    if not isinstance(names, list):
        raise DataError(
            "names is no list", where=document.where("names"), expected="a list or 0: name", got=_kind(names)
        )
    if len(names) > _MOST_CLASSES:
        raise DataError("too many classes", where=document.where("names"), expected=f"{_MOST_CLASSES:,} at most")
    if not names:
        raise DataError("names is empty", where=document.where("names"), expected="at least one class")
    if odd := [name for name in names if not isinstance(name, str)]:
        if any(isinstance(name, list | dict | bytes | set) for name in odd):
            raise DataError("a class name is no text", where=document.where("names"), got=_kind(odd[0]))
        document.fault("names_not_text", "names", f"YAML reads {odd[:5]} as no text: put quotes around it")
    if count is not None and count != len(names):
        document.fault("names_mismatch", "nc", f"nc is {count}, but there are {len(names)} names")
    texts = tuple(str(name) for name in names)
    if len(set(texts)) < len(texts):
        twice = sorted(name for name, times in Counter(texts).items() if times > 1)
        document.fault("names_twice", "names", f"more than one class is called {', '.join(twice[:5])}")
    return texts


def keypoints(document: DataYaml) -> Keypoints | None:
    """Return the keypoints by `kpt_shape`, `kpt_names`, `flip_idx` and `kpt_oks_sigmas`; None without `kpt_shape`.

    Raises:
        DataError: `kpt_shape` is not [K, 2 or 3]: rows cannot be read without it.
    """
    shape = document.keys.get("kpt_shape")
    if shape is None:
        return None
    if not (isinstance(shape, list) and len(shape) == 2 and all(type(n) is int for n in shape)) or (
        not 1 <= shape[0] <= 10_000 or shape[1] not in (2, 3)
    ):
        raise DataError(
            "kpt_shape cannot be used", where=document.where("kpt_shape"), expected="[K, 2] or [K, 3]", got=_kind(shape)
        )
    count, dims = shape
    flip = document.keys.get("flip_idx")
    if flip is not None and (not isinstance(flip, list) or sorted(map(str, flip)) != sorted(map(str, range(count)))):
        document.fault("flip_idx_invalid", "flip_idx", f"expected each of 0 … {count - 1} once")
        flip = None
    sigmas = document.keys.get("kpt_oks_sigmas")
    usable = isinstance(sigmas, list) and len(sigmas) == count and all(isinstance(s, int | float) for s in sigmas)
    return Keypoints(
        names=_keypoint_names(document.keys.get("kpt_names"), count),
        flip_idx=tuple(int(index) for index in flip) if flip is not None else None,
        sigmas=tuple(float(sigma) for sigma in sigmas) if usable and isinstance(sigmas, list) else None,
        dims=dims,
    )


def _keypoint_names(names: object, count: int) -> tuple[str, ...]:
    if isinstance(names, dict) and set(names) == set(range(count)) and all(isinstance(n, str) for n in names.values()):
        names = [names[index] for index in range(count)]  # written as `names` are: number → name
    elif isinstance(names, dict) and names:  # Ultralytics: class → names; one skeleton per data set here
        names = next(iter(names.values()))
    if isinstance(names, list) and len(names) == count and all(isinstance(name, str) for name in names):
        return tuple(names)
    return tuple(f"keypoint_{index}" for index in range(count))


def _count(document: DataYaml) -> int | None:
    count = document.keys.get("nc")
    if count is None:
        return None
    try:
        whole = int(float(count))
        if whole == float(count) and 0 < whole <= _MOST_CLASSES:
            return whole
    except (TypeError, ValueError, OverflowError):
        pass
    raise DataError(
        "nc is no number of classes", where=document.where("nc"), expected="a whole number", got=_kind(count)
    )


def _by_index(document: DataYaml, names: Mapping[Any, Any]) -> list[Any]:
    try:
        table = {int(index): name for index, name in names.items()}
    except (TypeError, ValueError):
        raise DataError(
            "a key of names is no class index",
            where=document.where("names"),
            expected="0, 1, 2, …",
            got=list(names)[:5],
        ) from None
    if not table:
        return []
    if min(table) < 0 or max(table) >= _MOST_CLASSES:
        raise DataError(
            "a class index is out of range", where=document.where("names"), got=f"{min(table)} … {max(table)}"
        )
    gaps = sorted(set(range(max(table) + 1)) - set(table))
    if gaps:
        document.fault("names_gap", "names", f"no name for class {', '.join(map(str, gaps[:5]))}")
    return [table.get(index, f"class_{index}") for index in range(max(table) + 1)]


def _kind(value: object) -> str:
    # Never str() of a container: YAML aliases can make a small file print gigabytes.
    return type(value).__name__ if isinstance(value, list | dict) else repr(value)[:80]

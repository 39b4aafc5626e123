"""Apply `--set key=value`: replace a key of a study before it is validated, so that the same rules apply."""

from __future__ import annotations

from typing import Any

from liftgate.study.yaml_source import Path, Problem, Source, dotted, read
from liftgate.suggestions import suggestion

# Mappings that a study may omit; an override may create them.
_OPTIONAL = ("budget", "evaluation", "recipe", "ignore", "openings", "gates")


def apply(source: Source, key: str, value: Any) -> None:
    """Set the dotted `key` of the document to `value`; a key that does not fit becomes a problem of the document.

    A string is read as YAML, so `seeds=[0, 1]` is a list and `epochs=3` a number. The last part of the key may be new
    (validation finds unknown keys); the parts before it must exist.
    """
    label = f"--set {key}"
    words = _split(key)
    if isinstance(value, str):
        inner = read(value, label)
        reason = words[0] == "ignore" and len(words) == 2
        if inner.problems and not reason:
            source.problems.extend(inner.problems)
            return
        # A reason is a sentence, and a sentence with a colon is a mapping in YAML.
        value = value if reason and (inner.problems or isinstance(inner.value, dict | list)) else inner.value
    if not isinstance(source.value, dict):
        return
    parent: Any = source.value
    path: Path = ()
    for depth, word in enumerate(words):
        step = _step(source, parent, path, word, label, last=depth == len(words) - 1)
        if step is None:
            return
        path = (*path, step)
        if depth < len(words) - 1:
            parent = parent[step]
    source.drop_places(path)
    source.places[path] = label
    parent[path[-1]] = value


def _split(key: str) -> list[str]:
    words = key.split(".")
    # A finding's id has a dot of its own: ignore.box.zero-area=reason
    return ["ignore", ".".join(words[1:])] if words[0] == "ignore" and len(words) > 2 else words


def _step(source: Source, parent: Any, path: Path, word: str, label: str, *, last: bool) -> str | int | None:
    """Return the key or index of `parent` that `word` names; if there is none, add a problem and return None."""
    if isinstance(parent, list):
        if word.isascii() and word.isdigit() and int(word) < len(parent):
            return int(word)
        known: Any = range(len(parent))
    elif isinstance(parent, dict):
        if not last and parent.get(word) is None and word in _OPTIONAL:
            parent[word] = {}
        if last or word in parent:
            return word
        known = parent
    else:
        known = ()
    place = dotted(path) or "the study"
    hint = suggestion(word, map(str, known)) if known else f"{place} has no keys of its own"
    source.problems.append(Problem(label, (*path, word), f"there is no `{word}` in {place}", hint))
    return None

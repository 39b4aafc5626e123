"""Suggest the known name that is nearest to a mistyped one."""

from __future__ import annotations

from collections.abc import Iterable


def nearest(word: object, known: Iterable[str], cutoff: float = 0.6) -> str | None:
    """Return the known name that is most similar to `word`, or None if none is similar.

    Case and leading dashes are ignored. `cutoff` is the least similarity, from 0 to 1 (difflib's ratio).

    >>> nearest("metirc", ["metric", "margin"]), nearest("--grups", ["--groups", "--json"])
    ('metric', '--groups')
    """
    import difflib  # only for a mistyped name: `--help` and valid commands do not need it

    by_bare = {name.lstrip("-").lower(): name for name in known}
    match = difflib.get_close_matches(str(word).lstrip("-").lower(), by_bare, n=1, cutoff=cutoff)
    return by_bare[match[0]] if match else None


def did_you_mean(word: object, known: Iterable[str], cutoff: float = 0.6) -> str | None:
    """Return a hint that names the nearest known name, or None if none is near.

    >>> did_you_mean("lro", ["lr0", "epochs"])
    'did you mean lr0?'
    """
    name = nearest(word, known, cutoff)
    return None if name is None else f"did you mean {name}?"


def suggestion(word: object, known: Iterable[str]) -> str:
    """Return a hint with the nearest known name, or else with all of them.

    >>> suggestion("chekc", ["check", "train"])
    'did you mean check?'
    >>> suggestion("zzz", ["check", "train"])
    'known: check, train'
    """
    names = list(dict.fromkeys(known))
    return did_you_mean(word, names) or "known: " + ", ".join(names)

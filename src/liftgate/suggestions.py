"""Suggest the known name, or the path, that is nearest to a mistyped one."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path


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


def nearby(path: Path) -> str | None:
    """Return a hint: the nearest existing path, or the contents of the deepest folder that exists."""
    for missing in (path, *path.parents):
        if missing.parent.is_dir():
            names = sorted(file.name for file in missing.parent.iterdir() if not file.name.startswith("."))
            rest = path.relative_to(missing)
            if close := nearest(missing.name, [name for name in names if (missing.parent / name / rest).exists()]):
                return f"did you mean {missing.parent / close / rest}?"
            if missing != path:
                return f"there is no {missing}"
            return f"{missing.parent} holds {', '.join(names[:5]) or 'nothing'}"
    return None

"""Which keypoint becomes which when an image is mirrored, from the names."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

_SIDES = ("left", "right"), ("l", "r"), ("links", "rechts"), ("port", "starboard"), ("driver", "passenger")
_LETTERS = {"l": "r", "r": "l"}
_CORNER = re.compile(r"[fbtu][lr]|[lr][fbtu]")  # front left, top right, left front: a side, also without a counterpart
_PART = re.compile(r"[a-z]+|\d+", re.IGNORECASE)


def flip_from_names(names: Sequence[str]) -> tuple[int, ...] | None:
    """Return where each keypoint goes under mirroring, or None where the names do not say.

    A name goes to the name with its side exchanged; one without a side stays where it is. If a side has no
    counterpart, the names do not say.

    >>> flip_from_names(["nose", "left_eye", "right_eye"])
    (0, 2, 1)
    >>> flip_from_names(["rear_l", "rear_r", "roof"])
    (1, 0, 2)
    >>> flip_from_names(["wheel_fl", "wheel_fr", "wheel_rl", "wheel_rr", "roof"])
    (1, 0, 3, 2, 4)
    >>> flip_from_names(["0", "1"]) is None
    True
    """
    parts = [tuple(part.lower() for part in _PART.findall(_spaced(name))) for name in names]
    if len(set(parts)) != len(parts):
        return None
    place = {part: i for i, part in enumerate(parts)}
    goes: list[int] = []
    for i, part in enumerate(parts):
        exchanged = _exchanged(part) or _of_letters(part, place)
        if exchanged in place:
            goes.append(place[exchanged])
        elif exchanged is None and not any(_CORNER.fullmatch(word) for word in part):
            goes.append(i)
        else:
            return None
    return tuple(goes) if goes != list(range(len(goes))) else None


def _exchanged(parts: tuple[str, ...]) -> tuple[str, ...] | None:
    for a, b in _SIDES:
        if a in parts or b in parts:
            return tuple(b if part == a else a if part == b else part for part in parts)
    return None


def _of_letters(parts: tuple[str, ...], place: Mapping[tuple[str, ...], int]) -> tuple[str, ...] | None:
    """The name that differs by an l for an r in a word of two or three letters: fl and fr, rl and rr, LM and RM."""
    for at, word in enumerate(parts):
        for letter in range(len(word)) if len(word) in (2, 3) else ():
            if word[letter] in _LETTERS:
                other = f"{word[:letter]}{_LETTERS[word[letter]]}{word[letter + 1 :]}"
                name = (*parts[:at], other, *parts[at + 1 :])
                if name in place:
                    return name
    return None


def _spaced(name: str) -> str:
    """`leftEye` and `LEye` have words too."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", " ", name)

"""Fast scanner for COCO results JSON: reads common detections into arrays and leaves the rest to a JSON parser.

A detection is an object with `image_id`, `category_id`, `score`, `bbox` and optionally `keypoints`; other keys are
skipped. `scan` reads one after another until the bytes end or something unsupported occurs: a string with an escape, a
number of more than 18 digits, null, a missing key. Numbers are rounded to nearest, as by Python's `float`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from liftgate.kernels.compiler import compiled, kernel_helper
from liftgate.kernels.json_text import (
    CUT_OFF,
    NOT_PLAIN,
    Bytes,
    matches,
    parse_number,
    parse_numbers,
    simple_string_end,
    skip_space,
    skip_value,
)
from liftgate.kernels.json_text import POWERS as POWERS

# What `scan` returns; the position is in state[AT].
INCOMPLETE, UNSUPPORTED, BROKEN = 0, 1, 2
"""The next detection is incomplete; it is unsupported and ends at state[END]; the text is no list of detections"""

# Indices into the state, which is kept between calls.
AT, END, EXPECT, ROWS, IDS, POINTS = 0, 1, 2, 3, 4, 5
STATE_SIZE = 6

OPENING, FIRST, COMMA, NEXT, CLOSED = 0, 1, 2, 3, 4
"""Values of state[EXPECT]: `[`, a detection or `]`, a comma or `]`, a detection, nothing more"""

_IMAGE_ID, _CATEGORY_ID, _SCORE, _BBOX, _KEYPOINTS = 1, 2, 4, 8, 16


@compiled
def scan(
    text: Bytes,
    end: int,
    state: NDArray[np.int64],
    powers: NDArray[np.float64],
    slots: NDArray[np.int32],
    id_at: NDArray[np.int64],
    id_length: NDArray[np.int64],
    ids: NDArray[np.int64],
    categories: NDArray[np.int64],
    scores: NDArray[np.float64],
    boxes: NDArray[np.float64],
    point_counts: NDArray[np.int64],
    points: NDArray[np.float64],
) -> int:
    """Read detections from `state[AT]` on, one row of the output columns for each.

    Args:
        text: the bytes.
        end: number of valid bytes in `text`.
        state: (STATE_SIZE,) position and progress, kept between calls.
        powers: POWERS.
        slots: hash table of image ids; its length is a power of two, and its entries are −1 at first.
        id_at: where the text of each distinct image id begins.
        id_length: its length in bytes.
        ids: (n,) index of each detection's image id among the distinct ones.
        categories: (n,) category ids.
        scores: (n,) scores.
        boxes: (n, 4) boxes; NaN without a box.
        point_counts: (n,) numbers of keypoint values; −1 without keypoints.
        points: keypoint values, one detection after the other.

    Returns:
        INCOMPLETE, UNSUPPORTED or BROKEN.
    """
    while True:
        at = skip_space(text, state[AT], end)
        state[AT] = at
        if at >= end:
            return INCOMPLETE
        expect, byte = state[EXPECT], text[at]
        if expect in (FIRST, NEXT) and byte == 123:  # {
            after = _parse_detection(
                text, at, end, state, powers, slots, id_at, id_length,
                ids, categories, scores, boxes, point_counts, points,
            )  # fmt: skip
            if after == NOT_PLAIN:
                state[END] = skip_value(text, at, end, powers)
                return UNSUPPORTED if state[END] >= 0 else INCOMPLETE if state[END] == CUT_OFF else BROKEN
            if after == CUT_OFF:
                return INCOMPLETE
            state[ROWS] += 1
            state[AT], state[EXPECT] = after, COMMA
        elif expect == OPENING and byte == 91:  # [
            state[AT], state[EXPECT] = at + 1, FIRST
        elif expect == COMMA and byte == 44:  # ,
            state[AT], state[EXPECT] = at + 1, NEXT
        elif expect in (FIRST, COMMA) and byte == 93:  # ]
            state[AT], state[EXPECT] = at + 1, CLOSED
        else:
            return BROKEN


@kernel_helper
def _parse_detection(  # noqa: C901 (one branch for each key)
    text: Bytes,
    at: int,
    end: int,
    state: NDArray[np.int64],
    powers: NDArray[np.float64],
    slots: NDArray[np.int32],
    id_at: NDArray[np.int64],
    id_length: NDArray[np.int64],
    ids: NDArray[np.int64],
    categories: NDArray[np.int64],
    scores: NDArray[np.float64],
    boxes: NDArray[np.float64],
    point_counts: NDArray[np.int64],
    points: NDArray[np.float64],
) -> int:
    """Parse the object that begins at `at` into the next row; return the position after it."""
    row, known = state[ROWS], 0
    point_counts[row] = -1
    at = skip_space(text, at + 1, end)
    while True:
        at, name = _read_key(text, at, end)
        if at < 0:
            return at
        at = skip_space(text, at, end)
        if at >= end:
            return CUT_OFF
        if text[at] != 58:  # :
            return NOT_PLAIN
        at = skip_space(text, at + 1, end)
        if name == _IMAGE_ID:
            first = at
            at = _id_end(text, at, end, powers)
            if at >= 0:
                ids[row] = _intern(text, first, at, state, slots, id_at, id_length)
        elif name == _CATEGORY_ID:
            at, value, whole = parse_number(text, at, end, powers)
            if at >= 0 and not (whole and abs(value) < 2.0**53):
                return NOT_PLAIN
            categories[row] = np.int64(value)
        elif name == _SCORE:
            at, value, whole = parse_number(text, at, end, powers)
            scores[row] = value
        elif name == _BBOX:
            at, count = parse_numbers(text, at, end, powers, boxes[row])
            if at >= 0 and count != 4:
                return NOT_PLAIN
        elif name == _KEYPOINTS:
            at, count = parse_numbers(text, at, end, powers, points[state[POINTS] :])
            point_counts[row] = count
        else:
            at = skip_value(text, at, end, powers)
        if at < 0:
            return at
        known |= name
        at = skip_space(text, at, end)
        if at >= end:
            return CUT_OFF
        if text[at] == 125:  # }
            break
        if text[at] != 44:  # ,
            return NOT_PLAIN
        at = skip_space(text, at + 1, end)
    if known & 7 != 7:
        return NOT_PLAIN
    if not known & _BBOX:
        boxes[row] = np.nan
    if known & _KEYPOINTS:
        state[POINTS] += point_counts[row]
    return at + 1


@kernel_helper
def _read_key(text: Bytes, at: int, end: int) -> tuple[int, int]:
    """Return the position after the key at `at`, and which of the known keys it is; 0: another one."""
    if at + 13 <= end and text[at] == 34:  # room for the longest of them with its quotes
        if matches(text, at + 1, b'image_id"'):
            return at + 10, _IMAGE_ID
        if matches(text, at + 1, b'category_id"'):
            return at + 13, _CATEGORY_ID
        if matches(text, at + 1, b'bbox"'):
            return at + 6, _BBOX
        if matches(text, at + 1, b'score"'):
            return at + 7, _SCORE
    after = simple_string_end(text, at, end)
    return after, (_known_key(text, at + 1, after - 1) if after >= 0 else 0)


@kernel_helper
def _known_key(text: Bytes, first: int, last: int) -> int:
    """Return which of the known keys a string is; 0: another one."""
    length = last - first
    if length == 8 and matches(text, first, b"image_id"):
        return _IMAGE_ID
    if length == 11 and matches(text, first, b"category_id"):
        return _CATEGORY_ID
    if length == 5 and matches(text, first, b"score"):
        return _SCORE
    if length == 4 and matches(text, first, b"bbox"):
        return _BBOX
    if length == 9 and matches(text, first, b"keypoints"):
        return _KEYPOINTS
    return 0


@kernel_helper
def _id_end(text: Bytes, at: int, end: int, powers: NDArray[np.float64]) -> int:
    """Return the position after an image id: an integer or a string."""
    if at < end and text[at] == 34:
        return simple_string_end(text, at, end)
    at, _, whole = parse_number(text, at, end, powers)
    return at if whole or at < 0 else NOT_PLAIN


@kernel_helper
def _intern(
    text: Bytes,
    first: int,
    last: int,
    state: NDArray[np.int64],
    slots: NDArray[np.int32],
    id_at: NDArray[np.int64],
    id_length: NDArray[np.int64],
) -> int:
    """Return the index of a string among the distinct ones, adding it if it is new."""
    hashed: Any = np.int64(0)
    for place in range(first, last):
        hashed = (hashed * 31 + text[place]) & 0xFFFF_FFFF
    slot = (hashed ^ (hashed >> 15)) & (len(slots) - 1)
    while slots[slot] >= 0:
        known: Any = np.int64(slots[slot])
        if id_length[known] == last - first:
            same = True
            for i in range(last - first):
                if text[id_at[known] + i] != text[first + i]:
                    same = False
                    break
            if same:
                return known  # type: ignore[no-any-return]
        slot = (slot + 1) & (len(slots) - 1)
    new: Any = state[IDS]
    slots[slot], id_at[new], id_length[new] = new, first, last - first
    state[IDS] += 1
    return new  # type: ignore[no-any-return]

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

# What `scan` returns; the position is in state[AT].
INCOMPLETE, UNSUPPORTED, BROKEN = 0, 1, 2
"""The next detection is incomplete; it is unsupported and ends at state[END]; the text is no list of detections"""

# Indices into the state, which is kept between calls.
AT, END, EXPECT, ROWS, IDS, POINTS = 0, 1, 2, 3, 4, 5
STATE_SIZE = 6

OPENING, FIRST, COMMA, NEXT, CLOSED = 0, 1, 2, 3, 4
"""Values of state[EXPECT]: `[`, a detection or `]`, a comma or `]`, a detection, nothing more"""

_UNSUPPORTED, _INCOMPLETE = -1, -2  # returned instead of a position

POWERS: NDArray[np.float64] = np.array([float(f"1e{power}") for power in range(23)])  # all exact

Bytes = NDArray[np.uint8]
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
        at = _skip_space(text, state[AT], end)
        state[AT] = at
        if at >= end:
            return INCOMPLETE
        expect, byte = state[EXPECT], text[at]
        if expect in (FIRST, NEXT) and byte == 123:  # {
            after = _parse_detection(
                text, at, end, state, powers, slots, id_at, id_length,
                ids, categories, scores, boxes, point_counts, points,
            )  # fmt: skip
            if after == _UNSUPPORTED:
                state[END] = _skip_value(text, at, end, powers)
                return UNSUPPORTED if state[END] >= 0 else INCOMPLETE if state[END] == _INCOMPLETE else BROKEN
            if after == _INCOMPLETE:
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
    at = _skip_space(text, at + 1, end)
    while True:
        key = at
        at = _simple_string_end(text, key, end)
        if at < 0:
            return at
        name = _key(text, key + 1, at - 1)
        at = _skip_space(text, at, end)
        if at >= end:
            return _INCOMPLETE
        if text[at] != 58:  # :
            return _UNSUPPORTED
        at = _skip_space(text, at + 1, end)
        if name == _IMAGE_ID:
            first = at
            at = _id_end(text, at, end, powers)
            if at >= 0:
                ids[row] = _intern(text, first, at, state, slots, id_at, id_length)
        elif name == _CATEGORY_ID:
            at, value, whole = _parse_number(text, at, end, powers)
            if at >= 0 and not (whole and abs(value) < 2.0**53):
                return _UNSUPPORTED
            categories[row] = np.int64(value)
        elif name == _SCORE:
            at, value, whole = _parse_number(text, at, end, powers)
            scores[row] = value
        elif name == _BBOX:
            at, count = _parse_numbers(text, at, end, powers, boxes[row])
            if at >= 0 and count != 4:
                return _UNSUPPORTED
        elif name == _KEYPOINTS:
            at, count = _parse_numbers(text, at, end, powers, points[state[POINTS] :])
            point_counts[row] = count
        else:
            at = _skip_value(text, at, end, powers)
        if at < 0:
            return at
        known |= name
        at = _skip_space(text, at, end)
        if at >= end:
            return _INCOMPLETE
        if text[at] == 125:  # }
            break
        if text[at] != 44:  # ,
            return _UNSUPPORTED
        at = _skip_space(text, at + 1, end)
    if known & 7 != 7:
        return _UNSUPPORTED
    if not known & _BBOX:
        boxes[row] = np.nan
    if known & _KEYPOINTS:
        state[POINTS] += point_counts[row]
    return at + 1


@kernel_helper
def _skip_space(text: Bytes, at: int, end: int) -> int:
    while at < end and (text[at] == 32 or text[at] == 10 or text[at] == 13 or text[at] == 9):
        at += 1
    return at


@kernel_helper
def _simple_string_end(text: Bytes, at: int, end: int) -> int:
    """Return the position after the quoted string at `at`, which must be plain ASCII without escapes."""
    if at >= end:
        return _INCOMPLETE
    if text[at] != 34:  # "
        return _UNSUPPORTED
    for place in range(at + 1, end):
        byte = text[place]
        if byte == 34:
            return place + 1
        if byte == 92 or byte < 32 or byte > 126:
            return _UNSUPPORTED
    return _INCOMPLETE


@kernel_helper
def _key(text: Bytes, first: int, last: int) -> int:
    """Return which of the known keys it is; 0: another one."""
    length = last - first
    if length == 8 and _matches(text, first, b"image_id"):
        return _IMAGE_ID
    if length == 11 and _matches(text, first, b"category_id"):
        return _CATEGORY_ID
    if length == 5 and _matches(text, first, b"score"):
        return _SCORE
    if length == 4 and _matches(text, first, b"bbox"):
        return _BBOX
    if length == 9 and _matches(text, first, b"keypoints"):
        return _KEYPOINTS
    return 0


@kernel_helper
def _matches(text: Bytes, first: int, word: bytes) -> bool:
    for i in range(len(word)):  # noqa: SIM110 (numba has no generators)
        if text[first + i] != word[i]:
            return False
    return True


@kernel_helper
def _id_end(text: Bytes, at: int, end: int, powers: NDArray[np.float64]) -> int:
    """Return the position after an image id: an integer or a string."""
    if at < end and text[at] == 34:
        return _simple_string_end(text, at, end)
    at, _, whole = _parse_number(text, at, end, powers)
    return at if whole or at < 0 else _UNSUPPORTED


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


@kernel_helper
def _parse_numbers(
    text: Bytes, at: int, end: int, powers: NDArray[np.float64], out: NDArray[np.float64]
) -> tuple[int, int]:
    """Return the position after a list of numbers, and their count; unsupported where they do not fit into `out`."""
    if at >= end:
        return _INCOMPLETE, 0
    if text[at] != 91:  # [
        return _UNSUPPORTED, 0
    count = 0
    at = _skip_space(text, at + 1, end)
    if at < end and text[at] == 93:  # ]
        return at + 1, 0
    while True:
        at, value, _ = _parse_number(text, at, end, powers)
        if at < 0:
            return at, 0
        if count >= len(out):
            return _UNSUPPORTED, 0
        out[count] = value
        count += 1
        at = _skip_space(text, at, end)
        if at >= end:
            return _INCOMPLETE, 0
        if text[at] == 93:
            return at + 1, count
        if text[at] != 44:
            return _UNSUPPORTED, 0
        at = _skip_space(text, at + 1, end)


@kernel_helper
def _parse_digits(text: Bytes, at: int, end: int, value: Any, count: int) -> tuple[int, Any, int]:
    """Return the position after a run of digits, the number so far, and its digits without leading zeros."""
    while at < end and 48 <= text[at] <= 57:
        if count < 18:
            value = value * 10 + (np.int64(text[at]) - 48)
        count += 1 if value else 0
        at += 1
    return at, value, count


@kernel_helper
def _parse_number(text: Bytes, at: int, end: int, powers: NDArray[np.float64]) -> tuple[int, float, bool]:
    """Return the position after a JSON number, its value, and whether it is written as an integer."""
    negative = at < end and text[at] == 45  # -
    at += negative
    first = at
    at, digits, count = _parse_digits(text, at, end, np.int64(0), 0)
    if at > first + 1 and text[first] == 48:
        return _UNSUPPORTED, 0.0, False
    whole, exponent = True, 0
    if at == first:
        return (_INCOMPLETE if at >= end else _UNSUPPORTED), 0.0, False
    if at < end and text[at] == 46:  # .
        whole, point = False, at + 1
        at, digits, count = _parse_digits(text, point, end, digits, count)
        exponent = point - at
        if at == point:
            return (_INCOMPLETE if at >= end else _UNSUPPORTED), 0.0, False
    if at < end and (text[at] == 101 or text[at] == 69):  # e, E
        whole = False
        at += 1
        negative_exponent = at < end and text[at] == 45
        at += at < end and (text[at] == 45 or text[at] == 43)
        first = at
        at, power, _ = _parse_digits(text, at, end, np.int64(0), 0)
        if at == first:
            return (_INCOMPLETE if at >= end else _UNSUPPORTED), 0.0, False
        exponent += -power if negative_exponent else power
    if at >= end:
        return _INCOMPLETE, 0.0, False
    certain, value = _scale(digits, exponent, powers)
    if count > 18 or not certain:
        return _UNSUPPORTED, 0.0, False
    return at, (-value if negative else value), whole


@kernel_helper
def _scale(digits: Any, exponent: int, powers: NDArray[np.float64]) -> tuple[bool, float]:
    """Return digits · 10^exponent rounded to nearest, and whether that is certain.

    The quotient or product of two exact numbers is rounded only once. For more digits than a float holds, the error of
    the quotient is computed (Dekker) to see whether it could change the rounding, which is so once in 2^46.
    """
    high = np.float64(digits)
    if exponent == 0 or digits == 0:
        return True, high
    if not -23 < exponent < 23 or (exponent > 0 and digits > 9007199254740992):
        return False, 0.0
    if exponent > 0:
        return True, high * powers[exponent]
    by = powers[-exponent]
    if digits <= 9007199254740992:
        return True, high / by
    quotient = high / by
    back, error = _product(quotient, by)
    rest = ((high - back) - error + np.float64(digits - np.int64(high))) / by
    doubt = quotient * 2.0**-99
    nearest = quotient + rest
    return quotient + (rest - doubt) == quotient + (rest + doubt), nearest


@kernel_helper
def _product(a: float, b: float) -> tuple[float, float]:
    """Return a · b rounded, and the exact rounding error."""
    product = a * b
    a_high = a * 134217729.0 - (a * 134217729.0 - a)
    b_high = b * 134217729.0 - (b * 134217729.0 - b)
    a_low, b_low = a - a_high, b - b_high
    return product, a_low * b_low - (((product - a_high * b_high) - a_low * b_high) - a_high * b_low)


@kernel_helper
def _skip_value(text: Bytes, at: int, end: int, powers: NDArray[np.float64]) -> int:
    """Return the position after any value; in lists and objects only brackets are counted."""
    if at >= end:
        return _INCOMPLETE
    if text[at] == 34:
        return _string_end(text, at, end)
    if text[at] == 116 and at + 4 < end and _matches(text, at, b"true"):
        return at + 4
    if text[at] == 102 and at + 5 < end and _matches(text, at, b"false"):
        return at + 5
    if text[at] == 110 and at + 4 < end and _matches(text, at, b"null"):
        return at + 4
    if text[at] != 91 and text[at] != 123:
        at, _, _ = _parse_number(text, at, end, powers)
        return at
    depth = 0
    while at < end:
        byte = text[at]
        if byte == 34:
            at = _string_end(text, at, end)
            if at < 0:
                return at
            continue
        depth += byte == 91 or byte == 123
        depth -= byte == 93 or byte == 125
        at += 1
        if depth == 0:
            return at
    return _INCOMPLETE


@kernel_helper
def _string_end(text: Bytes, at: int, end: int) -> int:
    """Return the position after a string with or without escapes."""
    at += 1
    while at < end:
        if text[at] == 34:
            return at + 1
        at += 2 if text[at] == 92 else 1
    return _INCOMPLETE

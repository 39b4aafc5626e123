"""The bytes of a results JSON → numbers: what is usual is read here, what is not is left to a real JSON parser.

A detection is an object with `image_id`, `category_id`, `score`, `bbox` and perhaps `keypoints`; other keys are passed
over. `scan` goes from one to the next until the bytes end or something else comes: text with an escape, a number of
more than 18 digits, null, a missing key. Numbers come out rounded to nearest, as from Python's `float`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from liftgate.kernels.compiler import compiled, part

# What `scan` returns, with the place in AT.
MORE, ODD, BROKEN = 0, 1, 2
"""The next detection is not whole yet; it is none that is understood here, and ends at END; this is no list"""

# Its state, kept from call to call.
AT, END, EXPECT, ROWS, IDS, POINTS = 0, 1, 2, 3, 4, 5
STATE_SIZE = 6

OPENING, FIRST, COMMA, NEXT, CLOSED = 0, 1, 2, 3, 4
"""What is expected: `[`, a detection or `]`, a comma or `]`, a detection, nothing more"""

_NOT_UNDERSTOOD, _CUT = -1, -2  # in place of the next place

POWERS: NDArray[np.float64] = np.array([float(f"1e{power}") for power in range(23)])  # exact, all of them

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
    """Read detections from `state[AT]` on; a row of the columns for each, `ids` being the place of its id's text.

    The text of each distinct image_id is `id_length` bytes at `id_at`; `slots` (a power of two, −1 at first) finds it
    again. A row without box has NaN in `boxes`, one without keypoints −1 in `point_counts`.
    """
    while True:
        at = _space(text, state[AT], end)
        state[AT] = at
        if at >= end:
            return MORE
        expect, byte = state[EXPECT], text[at]
        if expect in (FIRST, NEXT) and byte == 123:  # {
            after = _detection(
                text, at, end, state, powers, slots, id_at, id_length,
                ids, categories, scores, boxes, point_counts, points,
            )  # fmt: skip
            if after == _NOT_UNDERSTOOD:
                state[END] = _passed_over(text, at, end, powers)
                return ODD if state[END] >= 0 else MORE if state[END] == _CUT else BROKEN
            if after == _CUT:
                return MORE
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


@part
def _detection(  # noqa: C901 (one branch for each key)
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
    """Read the object that opens at `at` into the next row; returns the place after it."""
    row, known = state[ROWS], 0
    point_counts[row] = -1
    at = _space(text, at + 1, end)
    while True:
        key = at
        at = _name(text, key, end)
        if at < 0:
            return at
        name = _key(text, key + 1, at - 1)
        at = _space(text, at, end)
        if at >= end:
            return _CUT
        if text[at] != 58:  # :
            return _NOT_UNDERSTOOD
        at = _space(text, at + 1, end)
        if name == _IMAGE_ID:
            first = at
            at = _identifier(text, at, end, powers)
            if at >= 0:
                ids[row] = _interned(text, first, at, state, slots, id_at, id_length)
        elif name == _CATEGORY_ID:
            at, value, whole = _number(text, at, end, powers)
            if at >= 0 and not (whole and abs(value) < 2.0**53):
                return _NOT_UNDERSTOOD
            categories[row] = np.int64(value)
        elif name == _SCORE:
            at, value, whole = _number(text, at, end, powers)
            scores[row] = value
        elif name == _BBOX:
            at, count = _numbers(text, at, end, powers, boxes[row])
            if at >= 0 and count != 4:
                return _NOT_UNDERSTOOD
        elif name == _KEYPOINTS:
            at, count = _numbers(text, at, end, powers, points[state[POINTS] :])
            point_counts[row] = count
        else:
            at = _passed_over(text, at, end, powers)
        if at < 0:
            return at
        known |= name
        at = _space(text, at, end)
        if at >= end:
            return _CUT
        if text[at] == 125:  # }
            break
        if text[at] != 44:  # ,
            return _NOT_UNDERSTOOD
        at = _space(text, at + 1, end)
    if known & 7 != 7:
        return _NOT_UNDERSTOOD
    if not known & _BBOX:
        boxes[row] = np.nan
    if known & _KEYPOINTS:
        state[POINTS] += point_counts[row]
    return at + 1


@part
def _space(text: Bytes, at: int, end: int) -> int:
    while at < end and (text[at] == 32 or text[at] == 10 or text[at] == 13 or text[at] == 9):
        at += 1
    return at


@part
def _name(text: Bytes, at: int, end: int) -> int:
    """Place after the text in quotes at `at`: plain ASCII without escapes, else it is not understood."""
    if at >= end:
        return _CUT
    if text[at] != 34:  # "
        return _NOT_UNDERSTOOD
    for place in range(at + 1, end):
        byte = text[place]
        if byte == 34:
            return place + 1
        if byte == 92 or byte < 32 or byte > 126:
            return _NOT_UNDERSTOOD
    return _CUT


@part
def _key(text: Bytes, first: int, last: int) -> int:
    """Which of the keys it is, 0 for any other. Told by length, then letter by letter."""
    length = last - first
    if length == 8 and _is(text, first, b"image_id"):
        return _IMAGE_ID
    if length == 11 and _is(text, first, b"category_id"):
        return _CATEGORY_ID
    if length == 5 and _is(text, first, b"score"):
        return _SCORE
    if length == 4 and _is(text, first, b"bbox"):
        return _BBOX
    if length == 9 and _is(text, first, b"keypoints"):
        return _KEYPOINTS
    return 0


@part
def _is(text: Bytes, first: int, word: bytes) -> bool:
    for i in range(len(word)):  # noqa: SIM110 (numba has no generators)
        if text[first + i] != word[i]:
            return False
    return True


@part
def _identifier(text: Bytes, at: int, end: int, powers: NDArray[np.float64]) -> int:
    """Place after a whole number or a text."""
    if at < end and text[at] == 34:
        return _name(text, at, end)
    at, _, whole = _number(text, at, end, powers)
    return at if whole or at < 0 else _NOT_UNDERSTOOD


@part
def _interned(
    text: Bytes,
    first: int,
    last: int,
    state: NDArray[np.int64],
    slots: NDArray[np.int32],
    id_at: NDArray[np.int64],
    id_length: NDArray[np.int64],
) -> int:
    """The number of a text among the distinct ones, a new one where it has not been met."""
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


@part
def _numbers(text: Bytes, at: int, end: int, powers: NDArray[np.float64], out: NDArray[np.float64]) -> tuple[int, int]:
    """Place after a list of numbers, and how many they are; no more than fit into `out` are understood."""
    if at >= end:
        return _CUT, 0
    if text[at] != 91:  # [
        return _NOT_UNDERSTOOD, 0
    count = 0
    at = _space(text, at + 1, end)
    if at < end and text[at] == 93:  # ]
        return at + 1, 0
    while True:
        at, value, _ = _number(text, at, end, powers)
        if at < 0:
            return at, 0
        if count >= len(out):
            return _NOT_UNDERSTOOD, 0
        out[count] = value
        count += 1
        at = _space(text, at, end)
        if at >= end:
            return _CUT, 0
        if text[at] == 93:
            return at + 1, count
        if text[at] != 44:
            return _NOT_UNDERSTOOD, 0
        at = _space(text, at + 1, end)


@part
def _digits(text: Bytes, at: int, end: int, value: Any, count: int) -> tuple[int, Any, int]:
    """Place after a run of digits, the number that they continue, and how many digits it has but for leading zeros."""
    while at < end and 48 <= text[at] <= 57:
        if count < 18:
            value = value * 10 + (np.int64(text[at]) - 48)
        count += 1 if value else 0
        at += 1
    return at, value, count


@part
def _number(text: Bytes, at: int, end: int, powers: NDArray[np.float64]) -> tuple[int, float, bool]:
    """Place after a JSON number, its value, and whether it is written as a whole number."""
    negative = at < end and text[at] == 45  # -
    at += negative
    first = at
    at, digits, count = _digits(text, at, end, np.int64(0), 0)
    if at > first + 1 and text[first] == 48:
        return _NOT_UNDERSTOOD, 0.0, False
    whole, exponent = True, 0
    if at == first:
        return (_CUT if at >= end else _NOT_UNDERSTOOD), 0.0, False
    if at < end and text[at] == 46:  # .
        whole, point = False, at + 1
        at, digits, count = _digits(text, point, end, digits, count)
        exponent = point - at
        if at == point:
            return (_CUT if at >= end else _NOT_UNDERSTOOD), 0.0, False
    if at < end and (text[at] == 101 or text[at] == 69):  # e, E
        whole = False
        at += 1
        less = at < end and text[at] == 45
        at += at < end and (text[at] == 45 or text[at] == 43)
        first = at
        at, power, _ = _digits(text, at, end, np.int64(0), 0)
        if at == first:
            return (_CUT if at >= end else _NOT_UNDERSTOOD), 0.0, False
        exponent += -power if less else power
    if at >= end:
        return _CUT, 0.0, False
    certain, value = _scaled(digits, exponent, powers)
    if count > 18 or not certain:
        return _NOT_UNDERSTOOD, 0.0, False
    return at, (-value if negative else value), whole


@part
def _scaled(digits: Any, exponent: int, powers: NDArray[np.float64]) -> tuple[bool, float]:
    """Return digits · 10^exponent rounded to nearest, and whether that is certain.

    Two exact numbers divided or multiplied round once. Of more digits than a float holds the quotient's error is
    computed exactly enough (Dekker) to see whether it could decide the rounding, which it does once in 2^46.
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


@part
def _product(a: float, b: float) -> tuple[float, float]:
    """Return a · b rounded, and exactly what the rounding took."""
    product = a * b
    a_high = a * 134217729.0 - (a * 134217729.0 - a)
    b_high = b * 134217729.0 - (b * 134217729.0 - b)
    a_low, b_low = a - a_high, b - b_high
    return product, a_low * b_low - (((product - a_high * b_high) - a_low * b_high) - a_high * b_low)


@part
def _passed_over(text: Bytes, at: int, end: int, powers: NDArray[np.float64]) -> int:
    """Place after any value. Of lists and objects only the brackets are counted."""
    if at >= end:
        return _CUT
    if text[at] == 34:
        return _text(text, at, end)
    if text[at] == 116 and at + 4 < end and _is(text, at, b"true"):
        return at + 4
    if text[at] == 102 and at + 5 < end and _is(text, at, b"false"):
        return at + 5
    if text[at] == 110 and at + 4 < end and _is(text, at, b"null"):
        return at + 4
    if text[at] != 91 and text[at] != 123:
        at, _, _ = _number(text, at, end, powers)
        return at
    depth = 0
    while at < end:
        byte = text[at]
        if byte == 34:
            at = _text(text, at, end)
            if at < 0:
                return at
            continue
        depth += byte == 91 or byte == 123
        depth -= byte == 93 or byte == 125
        at += 1
        if depth == 0:
            return at
    return _CUT


@part
def _text(text: Bytes, at: int, end: int) -> int:
    """Place after a text with or without escapes."""
    at += 1
    while at < end:
        if text[at] == 34:
            return at + 1
        at += 2 if text[at] == 92 else 1
    return _CUT

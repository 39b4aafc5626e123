"""Kernel helpers that read JSON text: white space, strings, numbers and values to be skipped.

Each returns the position after what it read, CUT_OFF where the text ends before that, or NOT_PLAIN where it is
something else. Numbers are rounded to nearest, as by Python's `float`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from liftgate.kernels.compiler import kernel_helper

NOT_PLAIN, CUT_OFF = -1, -2  # returned instead of a position

POWERS: NDArray[np.float64] = np.array([float(f"1e{power}") for power in range(23)])  # all exact

Bytes = NDArray[np.uint8]


@kernel_helper
def skip_space(text: Bytes, at: int, end: int) -> int:
    """Return the position of the next byte that is no white space."""
    while at < end and text[at] <= 32 and (text[at] == 32 or text[at] == 10 or text[at] == 13 or text[at] == 9):
        at += 1
    return at


@kernel_helper
def simple_string_end(text: Bytes, at: int, end: int) -> int:
    """Return the position after the quoted string at `at`, which must be plain ASCII without escapes."""
    if at >= end:
        return CUT_OFF
    if text[at] != 34:  # "
        return NOT_PLAIN
    for place in range(at + 1, end):
        byte = text[place]
        if byte == 34:
            return place + 1
        if byte == 92 or byte < 32 or byte > 126:
            return NOT_PLAIN
    return CUT_OFF


@kernel_helper
def matches(text: Bytes, first: int, word: bytes) -> bool:
    """Return whether a word stands at `first`; the text must have room for it."""
    for i in range(len(word)):  # noqa: SIM110 (numba has no generators)
        if text[first + i] != word[i]:
            return False
    return True


@kernel_helper
def parse_numbers(
    text: Bytes, at: int, end: int, powers: NDArray[np.float64], out: NDArray[np.float64]
) -> tuple[int, int]:
    """Return the position after a list of numbers, and their count; unsupported where they do not fit into `out`."""
    if at >= end:
        return CUT_OFF, 0
    if text[at] != 91:  # [
        return NOT_PLAIN, 0
    count = 0
    at = skip_space(text, at + 1, end)
    if at < end and text[at] == 93:  # ]
        return at + 1, 0
    while True:
        at, value, _ = parse_number(text, at, end, powers)
        if at < 0:
            return at, 0
        if count >= len(out):
            return NOT_PLAIN, 0
        out[count] = value
        count += 1
        at = skip_space(text, at, end)
        if at >= end:
            return CUT_OFF, 0
        if text[at] == 93:
            return at + 1, count
        if text[at] != 44:
            return NOT_PLAIN, 0
        at = skip_space(text, at + 1, end)


@kernel_helper
def _parse_digits(text: Bytes, at: int, end: int, value: Any) -> tuple[int, Any]:
    """Return the position after a run of digits, and the number so far, which overflows after 18 of them."""
    while at < end and 48 <= text[at] <= 57:
        value = value * 10 + (np.int64(text[at]) - 48)
        at += 1
    return at, value


@kernel_helper
def _significant_digits(text: Bytes, at: int, end: int) -> tuple[Any, int]:
    """Return the first 18 digits of a number without its leading zeros, and how many digits it has without them."""
    value: Any = np.int64(0)
    count = 0
    while at < end:
        if text[at] != 46:  # .
            if count < 18:
                value = value * 10 + (np.int64(text[at]) - 48)
            count += 1 if value else 0
        at += 1
    return value, count


@kernel_helper
def parse_number(text: Bytes, at: int, end: int, powers: NDArray[np.float64]) -> tuple[int, float, bool]:
    """Return the position after a JSON number, its value, and whether it is written as an integer."""
    negative = at < end and text[at] == 45  # -
    at += negative
    first = at
    at, digits = _parse_digits(text, at, end, np.int64(0))
    if at > first + 1 and text[first] == 48:
        return NOT_PLAIN, 0.0, False
    whole, exponent = True, 0
    if at == first:
        return (CUT_OFF if at >= end else NOT_PLAIN), 0.0, False
    if at < end and text[at] == 46:  # .
        whole, point = False, at + 1
        at, digits = _parse_digits(text, point, end, digits)
        exponent = point - at
        if at == point:
            return (CUT_OFF if at >= end else NOT_PLAIN), 0.0, False
    count = at - first
    if count > 18:
        digits, count = _significant_digits(text, first, at)
    if at < end and (text[at] == 101 or text[at] == 69):  # e, E
        whole = False
        at += 1
        negative_exponent = at < end and text[at] == 45
        at += at < end and (text[at] == 45 or text[at] == 43)
        first = at
        at, power = _parse_digits(text, at, end, np.int64(0))
        if at > first + 18:
            return NOT_PLAIN, 0.0, False
        if at == first:
            return (CUT_OFF if at >= end else NOT_PLAIN), 0.0, False
        exponent += -power if negative_exponent else power
    if at >= end:
        return CUT_OFF, 0.0, False
    certain, value = _scale(digits, exponent, powers)
    if count > 18 or not certain:
        return NOT_PLAIN, 0.0, False
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
def skip_value(text: Bytes, at: int, end: int, powers: NDArray[np.float64]) -> int:
    """Return the position after any value; in lists and objects only brackets are counted."""
    if at >= end:
        return CUT_OFF
    if text[at] == 34:
        return _string_end(text, at, end)
    if text[at] == 116 and at + 4 < end and matches(text, at, b"true"):
        return at + 4
    if text[at] == 102 and at + 5 < end and matches(text, at, b"false"):
        return at + 5
    if text[at] == 110 and at + 4 < end and matches(text, at, b"null"):
        return at + 4
    if text[at] != 91 and text[at] != 123:
        at, _, _ = parse_number(text, at, end, powers)
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
    return CUT_OFF


@kernel_helper
def _string_end(text: Bytes, at: int, end: int) -> int:
    """Return the position after a string with or without escapes."""
    at += 1
    while at < end:
        if text[at] == 34:
            return at + 1
        at += 2 if text[at] == 92 else 1
    return CUT_OFF

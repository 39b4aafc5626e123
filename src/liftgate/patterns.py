"""Regular expressions that somebody typed or a file holds."""

from __future__ import annotations

import re
import warnings


class PatternError(ValueError):
    """A text that is no regular expression; says what is wrong and where."""


def compiled_pattern(rule: str) -> re.Pattern[str]:
    """Return a regular expression of a person or of a file, without Python's warnings of future changes.

    Args:
        rule: the expression, in Python's syntax.

    Raises:
        PatternError: it is none, or is nested too deeply or counts too far for one.

    >>> compiled_pattern("(?P<group>[0-9]+)").groupindex["group"]
    1
    >>> compiled_pattern("(")
    Traceback (most recent call last):
    liftgate.patterns.PatternError: missing ), unterminated subpattern at position 0
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of patterns that will change their meaning, such as [[a]
            return re.compile(rule)
    except re.error as error:
        raise PatternError(f"{error.msg} at position {error.pos}" if error.pos is not None else error.msg) from None
    except (OverflowError, RecursionError) as error:
        raise PatternError(f"too large: {error}") from None

"""Plain values, as a JSON or YAML file has them, become typed records."""

from __future__ import annotations

from typing import TypeVar

_Record = TypeVar("_Record")


def to_record(value: object, kind: type[_Record]) -> _Record:
    r"""Return a value as the type that is asked for.

    JSON may hold half of a surrogate pair (`"\ud800"`), which has no UTF-8; as a key it makes msgspec's own function
    raise something that is no error of a document.

    >>> to_record({"a": 1}, dict[str, int])
    {'a': 1}

    Args:
        value: dicts, lists, strings, numbers, true, false and null.
        kind: a struct of msgspec, or another type that it knows.

    Raises:
        msgspec.ValidationError: it is not of that type.
    """
    import msgspec  # no verb's --help needs it

    try:
        return msgspec.convert(value, kind)
    except UnicodeEncodeError:
        raise msgspec.ValidationError("a key holds half of a surrogate pair, which is no text") from None

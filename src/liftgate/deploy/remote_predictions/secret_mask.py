"""Keep the values of secret headers out of everything that is stored or shown, however a server spells them back."""

from __future__ import annotations

import base64
import binascii
import html
import re
from collections.abc import Collection, Iterator
from typing import Any
from urllib.parse import quote

MASK = "…"
SHORTEST = 6
"""Characters of the shortest value that counts as a secret: to mask `v1` would damage answers and protect nothing."""

_SCHEME = re.compile(r"(?:bearer|basic|token|digest|apikey|api-key|key)[\s:=]+(.+)", re.IGNORECASE)


class SecretMask:
    r"""Replaces secrets in text and in JSON values.

    >>> mask = SecretMask(["Bearer s3cr3t-value"])
    >>> mask.text("no: s3cr3t-value, s3cr3t%2Dvalue, \\u00733cr3t-value, Bearer S3CR3T-VALUE")
    'no: …, …, …, …'
    >>> mask.value({"s3cr3t-value": ["a", "is Bearer s3cr3t-value", 1]})
    {'…': ['a', 'is …', 1]}
    """

    def __init__(self, secrets: Collection[str]) -> None:
        # Longest first: `Bearer KEY` goes as a whole, not as `Bearer …`.
        plain = sorted(
            {form for secret in secrets for form in _plain_forms(secret)}, key=lambda form: (-len(form), form)
        )
        literal = [*plain, *(code for form in plain for code in _encoded_forms(form))]
        self._literal = re.compile("|".join(map(re.escape, literal)), re.IGNORECASE) if plain else None
        # Much slower, so it is looked for only where something is escaped.
        escaped = "|".join("".join(map(_any_spelling, form)) for form in plain)
        self._escaped = re.compile(escaped, re.IGNORECASE) if plain else None

    def text(self, text: str) -> str:
        """Return a text without secrets: literal, JSON-, URL-, HTML- or base64-encoded, in capitals or not."""
        if self._literal is None or self._escaped is None:
            return text
        masked = self._literal.sub(MASK, text)
        return self._escaped.sub(MASK, masked) if any(sign in masked for sign in "\\%&") else masked

    def value(self, value: Any) -> Any:
        """Return a JSON value without secrets in its strings, keys and numbers."""
        if self._literal is None:
            return value
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, dict):
            return {self.text(str(key)): self.value(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self.value(item) for item in value]
        if isinstance(value, int | float) and not isinstance(value, bool) and self._literal.search(repr(value)):
            return MASK
        return value


def _plain_forms(secret: str) -> Iterator[str]:
    """Yield a header's value whole, without its scheme, and the name and password that Basic packs into one word."""
    forms = [secret.strip()]
    if match := _SCHEME.fullmatch(forms[0]):
        forms.append(match[1].strip())
    for form in tuple(forms):
        unpacked = _base64_text(form)
        if ":" in unpacked:
            forms += [unpacked, unpacked.partition(":")[2]]
    yield from (form for form in forms if len(form) >= SHORTEST)


def _encoded_forms(form: str) -> Iterator[str]:
    """Yield a secret backwards, in hexadecimal digits and as a part of a base64 text."""
    data = form.encode()
    yield form[::-1]
    yield data.hex()
    for shift, first in ((0, 0), (1, 2), (2, 3)):  # bytes before it → first character that it alone decides
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            core = encode(b"\0" * shift + data).decode()[first : 8 * (len(data) + shift) // 6]
            if len(core) >= SHORTEST:
                yield core


def _base64_text(text: str) -> str:
    try:
        return base64.b64decode(text, validate=True).decode("ascii")
    except (binascii.Error, UnicodeDecodeError, ValueError):
        return ""


def _any_spelling(character: str) -> str:
    """Return a pattern of every way in which JSON, JavaScript, URLs and HTML write one character."""
    code = ord(character)
    forms = [
        re.escape(character),
        rf"\\*u\{{?0*{code:x}\}}?",
        rf"\\*x{code:02x}",
        rf"%(?:25)*{code:02x}",
        rf"&#0*{code};?",
        rf"&#x0*{code:x};?",
        re.escape(html.escape(character)),
        re.escape(quote(character, safe="")),
    ]
    forms += [r"\+"] if character == " " else []
    return r"\\*(?:" + "|".join(dict.fromkeys(forms)) + ")"

"""Settings of a server: what it takes, how much of it, and who may ask."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from pathlib import Path

from liftgate.errors import UsageError

MOST_IMAGES = 32
"""Of one request to /predict/batch"""


@dataclass(frozen=True, slots=True)
class ServeLimits:
    """What a server takes before it refuses."""

    body_bytes: int = 20_000_000
    """Of one request"""
    pixels: int = 50_000_000
    """Of one image, read from its header before it is decoded"""
    queue: int = 64
    """Requests that are received or wait; more are answered with 503"""
    batch: int = 8
    """Most images in one run of the model"""
    body_seconds: float = 10.0
    """Time in which a body must arrive"""
    header_seconds: float = 10.0
    """Time in which the headers of a request must arrive, also on a connection that is kept open"""
    answer_seconds: float = 30.0
    """Time that a request may wait for its answer"""
    drain_seconds: int = 30
    """Time that requests have to finish after SIGTERM"""

    def require_possible(self) -> None:
        """Refuse limits under which nothing could be answered.

        Raises:
            UsageError: one is below 1, or no time is left.
        """
        for name, value in (
            ("largest body", self.body_bytes), ("largest image", self.pixels), ("queue", self.queue),
            ("batch", self.batch),
        ):  # fmt: skip
            if value < 1:
                raise UsageError(f"the {name} is out of range", expected="at least 1", got=value)
        if not 0 < self.body_seconds < 86400 or not 0 < self.header_seconds < 86400:
            raise UsageError("the time limit is out of range", expected="seconds above 0", got=self.body_seconds)


@dataclass(frozen=True, slots=True)
class ServeAddress:
    """Where a server listens, and the token that it asks for."""

    host: str = "127.0.0.1"
    port: int = 8000
    token: str | None = None

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach it."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    def require_safe(self) -> None:
        """Refuse to be reached by other machines without a token.

        Raises:
            UsageError: another address than loopback, and no token; or a port that is none.
        """
        if not 0 <= self.port <= 65535:
            raise UsageError("the port is out of range", expected="0 to 65535", got=self.port)
        if not self.is_loopback and self.token is None:
            hint = "--token-file FILE, or LIFTGATE_SERVE_TOKEN; or leave --host out and put a reverse proxy before it"
            raise UsageError("other machines could ask without a token", got=self.host, hint=hint)


_LEAST_TOKEN = 16


def read_token(file: Path | None, from_environment: str | None) -> str | None:
    """Return the token of a file or of the environment; None: neither is given.

    Args:
        file: its first line is the token.
        from_environment: value of LIFTGATE_SERVE_TOKEN.

    Raises:
        UsageError: both are given, the file cannot be read, or the token is too short to be safe.
    """
    if file is not None and from_environment:
        raise UsageError("two tokens", expected="--token-file or LIFTGATE_SERVE_TOKEN", got="both")
    if file is None and not from_environment:
        return None
    token = from_environment or ""
    if file is not None:
        try:
            token = file.read_text("utf-8").partition("\n")[0].strip()
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError("the token cannot be read", where=file, got=error) from None
    if len(token) < _LEAST_TOKEN or not token.isascii() or not token.isprintable() or " " in token:
        hint = "python -c 'import secrets; print(secrets.token_urlsafe(32))' makes one"
        expected = f"{_LEAST_TOKEN} or more printable ASCII characters without spaces"
        raise UsageError("this is no token", where=file, expected=expected, got=f"{len(token)} characters", hint=hint)
    return token

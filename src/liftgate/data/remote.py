"""Where data may go: nothing confidential leaves the machine unless somebody names the place."""

from __future__ import annotations

from collections.abc import Collection
from urllib.parse import urlsplit

from liftgate.errors import Refused, UsageError


def checked_host(url: str, *, confidential: bool, allowed: Collection[str] = (), what: str) -> str:
    """Return the host of `url`, after asking whether `what` may be sent there.

    Keys and data travel with it, so plain HTTP is for this machine only.

    >>> checked_host("https://cvat.example.org", confidential=True, allowed=["cvat.example.org"], what="cows")
    'cvat.example.org'

    Raises:
        Refused: the data are confidential and the host is not in `allowed`.
        UsageError: not an HTTP address, or http:// to another machine.
    """
    parts = urlsplit(url)
    host = parts.hostname
    if parts.scheme not in ("http", "https") or not host:
        raise UsageError("not an address", expected="https://HOST", got=url.split("?")[0])
    if parts.username or parts.password:
        raise UsageError("no passwords in an address", where=host)
    if parts.scheme == "http" and host not in ("localhost", "127.0.0.1", "::1"):
        raise UsageError("the key would travel in the open", where=url.split("?")[0], expected="https://")
    if confidential and host not in allowed:
        raise Refused(f"{what} is confidential", where=host, hint=f"if it may go there: --allow-remote {host}")
    return host

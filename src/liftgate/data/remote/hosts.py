"""Check the hosts that data may be sent to: nothing confidential leaves the machine unless its host is allowed."""

from __future__ import annotations

import ipaddress
from collections.abc import Collection
from urllib.parse import SplitResult, urlsplit

from liftgate.errors import Refused, UsageError

_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_LAN = tuple(map(ipaddress.ip_network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7")))
_LAN_NAMES = (".local", ".lan", ".internal", ".home.arpa")
"""Endings of host names that are never public"""


def require_allowed_host(
    url: str, *, confidential: bool, allowed: Collection[str] = (), what: str, lan: bool = True
) -> str:
    """Check that `what` may be sent to `url`, and return its host.

    Keys and data are sent there, so plain HTTP is only for this machine and, with `lan`, for private addresses: a CVAT
    server in a factory often has no certificate (see `plain_http_warning`).

    Args:
        url: address of the server.
        confidential: whether the data are confidential.
        allowed: hosts that confidential data may be sent to.
        what: the data in words, for messages.
        lan: permit plain HTTP to private addresses.

    >>> require_allowed_host("https://cvat.example.org", confidential=True, allowed=["cvat.example.org"], what="cows")
    'cvat.example.org'
    >>> require_allowed_host("http://192.168.1.20:8080", confidential=False, what="cows")
    '192.168.1.20'

    Raises:
        Refused: the data are confidential and the host is not in `allowed`.
        UsageError: not an HTTP address, or http:// to a public one.
    """
    parts = _parts(url)
    host = parts.hostname if parts else None
    if parts is None or parts.scheme not in ("http", "https") or not host:
        raise UsageError("not an address", expected="https://HOST", got=url.split("?")[0])
    if parts.username or parts.password:
        raise UsageError("no passwords in an address", where=host)
    if parts.scheme == "http" and host not in _LOOPBACK and not (lan and _is_lan(host)):
        raise UsageError(
            "the key would travel in the open",
            where=url.split("?")[0],
            expected="https://, or an address of the local network",
        )
    if confidential and host not in allowed:
        raise Refused(f"{what} is confidential", where=host, hint=f"if it may go there: --allow-remote {host}")
    return host


def plain_http_warning(url: str) -> str | None:
    """Return a warning if `url` uses plain HTTP within a local network; None: not needed.

    >>> plain_http_warning("https://cvat.example.org"), plain_http_warning("http://localhost:8080")
    (None, None)
    >>> plain_http_warning("http://cvat.lan")
    'http://cvat.lan: keys and pictures can be read by anyone on this network'
    """
    parts = _parts(url)
    if parts is None or parts.scheme != "http" or parts.hostname in _LOOPBACK:
        return None
    return f"http://{parts.hostname}: keys and pictures can be read by anyone on this network"


def _parts(url: str) -> SplitResult | None:
    try:
        return urlsplit(url)
    except ValueError:  # half an IPv6 address
        return None


def _is_lan(host: str) -> bool:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        # No dot: a name of this network, but not a public address written as one number.
        return ("." not in host and not host[:1].isdigit()) or host.endswith(_LAN_NAMES)
    return any(address in network for network in _LAN)

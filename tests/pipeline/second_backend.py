"""The toy under another name: a second backend for studies whose arms have two."""

from __future__ import annotations

from liftgate.backends.toy import Toy


class Second(Toy):
    """Learns as the toy does, and says that it is another."""

    name = "second"

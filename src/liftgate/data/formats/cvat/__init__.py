"""CVAT XML 1.1: what the labelling tool exports and imports, for images and for video tracks."""

from __future__ import annotations

from liftgate.data.formats.cvat.reader import read
from liftgate.data.formats.cvat.writer import write

__all__ = ["read", "write"]

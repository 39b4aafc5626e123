"""YOLO: a data.yaml and one text file of fractions per image. `read` takes what people have, `write` makes a training
tree that Ultralytics reads without surprises."""

from __future__ import annotations

from liftgate.data.formats.yolo.reader import read
from liftgate.data.formats.yolo.tree import is_intact, linked_names, read_manifest, write

__all__ = ["is_intact", "linked_names", "read", "read_manifest", "write"]

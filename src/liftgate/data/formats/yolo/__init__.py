"""YOLO: a data.yaml and one text file of fractions per image.

`read` accepts the layouts in use, `write` makes a training tree that Ultralytics reads exactly as written.
"""

from __future__ import annotations

from liftgate.data.formats.yolo.reader import find_class_list, read, read_class_list
from liftgate.data.formats.yolo.tree import is_intact, read_manifest, write, write_tree

__all__ = ["find_class_list", "is_intact", "read", "read_class_list", "read_manifest", "write", "write_tree"]

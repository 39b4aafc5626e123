"""Pascal VOC: one XML per image, splits in ImageSets/Main, or in folders as Roboflow exports it.

Boxes are xmin … xmax as given, in pixels: VOC's own convention counts from 1 and includes the last pixel, most
tools today write 0-based edges, and files do not state which. Shifting boxes would be wrong for one of them, and the
difference is half a pixel.
"""

from __future__ import annotations

from liftgate.data.formats.voc.reader import is_flat, read
from liftgate.data.formats.voc.writer import write

__all__ = ["is_flat", "read", "write"]

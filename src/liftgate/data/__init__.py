"""The data room. A **dataset** is images and labels in one place, with class names, origin, licence and groups.

Whatever their format, inside Liftgate all labels are one `Dataset`: a tuple of images and one table of labels
(numpy columns, one row per object, boxes as xyxy pixels). Readers are in `formats/`; they never stop at a bad row:
they leave it out and record it in `Dataset.faults`, which the checks turn into findings.

`liftgate.data.read`, `split`, `merge`, `mix`, `convert`, `sample`, `agree` and `frames` are the public functions. They
are defined in `services/`, above this room, and imported at their first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from liftgate.public_names import lazy_names

if TYPE_CHECKING:
    from liftgate.services.agreement import agree as agree
    from liftgate.services.convert import convert as convert
    from liftgate.services.dataset_source import read_dataset as read
    from liftgate.services.frames import frames as frames
    from liftgate.services.frames import sample as sample
    from liftgate.services.merge import merge as merge
    from liftgate.services.merge import mix as mix
    from liftgate.services.split import split as split

FUNCTIONS = {
    "agree": "liftgate.services.agreement",
    "convert": "liftgate.services.convert",
    "frames": "liftgate.services.frames",
    "merge": "liftgate.services.merge",
    "mix": "liftgate.services.merge",
    "read": "liftgate.services.dataset_source:read_dataset",
    "sample": "liftgate.services.frames",
    "split": "liftgate.services.split",
}
"""Public function → module where it is defined, and its name there where that is another"""

__all__ = ["agree", "convert", "frames", "merge", "mix", "read", "sample", "split"]

__getattr__ = lazy_names(__name__, FUNCTIONS, {})


def __dir__() -> list[str]:
    return sorted(__all__)

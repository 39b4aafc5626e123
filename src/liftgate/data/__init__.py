"""The data room. A **dataset** is images and labels in one place, with class names, origin, licence and groups.

Whatever the files looked like, inside Liftgate there is one `Dataset`: a tuple of images and one table of labels
(numpy columns, one row per object, boxes as xyxy pixels). Readers are in `formats/`; they never stop at a bad row:
they leave it out and say so in `Dataset.faults`, which the checks turn into findings.

`liftgate.data.read`, `split`, `merge`, `mix`, `convert`, `sample`, `agree` and `frames` are the public functions. They
are defined in `services/`, above this room, and imported at their first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from liftgate.public_names import lazy_names

if TYPE_CHECKING:
    from liftgate.services.datasets import agree as agree
    from liftgate.services.datasets import convert as convert
    from liftgate.services.datasets import frames as frames
    from liftgate.services.datasets import merge as merge
    from liftgate.services.datasets import mix as mix
    from liftgate.services.datasets import read as read
    from liftgate.services.datasets import sample as sample
    from liftgate.services.datasets import split as split

__all__ = ["agree", "convert", "frames", "merge", "mix", "read", "sample", "split"]

FUNCTIONS = dict.fromkeys(__all__, "liftgate.services.datasets")
"""Public function → module where it is defined"""

__getattr__ = lazy_names(__name__, FUNCTIONS, {})


def __dir__() -> list[str]:
    return sorted(__all__)

"""**Detections**: the output of any detector, in the form it was saved, as Predictions.

read.py           `read_predictions`: any source, recognised by its content (`prefetch` starts before the truth is read)
builder.py        Predictions row by row, each row validated as it is added
yolo_txt.py       a folder of YOLO txt with confidences
saved_answers.py  CSV: saved answers of a vision-language model, with boxes or of whole images
fiftyone.py       FiftyOne: labels.json, samples.json, and sample objects
supervision.py    supervision.Detections and objects like it

COCO results, the form that Liftgate itself writes, is `data/formats/coco/predictions.py`.
"""

from typing import TYPE_CHECKING

from liftgate.data.detections.read import (
    PredictionsSource,
    PrefetchedResults,
    prefetch,
    read_all_predictions,
    read_predictions,
)
from liftgate.public_names import lazy_names

if TYPE_CHECKING:
    from liftgate.data.detections.fiftyone import from_samples as from_samples
    from liftgate.data.detections.supervision import from_supervision as from_supervision

_TYPES = {
    "from_samples": "liftgate.data.detections.fiftyone",
    "from_supervision": "liftgate.data.detections.supervision",
}
__getattr__ = lazy_names(__name__, {}, _TYPES)  # COCO results need neither

__all__ = [
    "PredictionsSource",
    "PrefetchedResults",
    "from_samples",
    "from_supervision",
    "prefetch",
    "read_all_predictions",
    "read_predictions",
]

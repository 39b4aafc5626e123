"""**Detections**: what any detector said of the images, in the form it was saved, as Predictions.

reading.py      `read_predictions`: whatever was given, told apart by what it is (`read_ahead`: sooner)
draft.py        Predictions while they are written down, row by row, with every error's place
yolo.py         a folder of YOLO txt with confidences
answers.py      CSV: a vision-language model's saved answers, with boxes or of whole images
fiftyone.py     FiftyOne: labels.json, samples.json, and sample objects
supervision.py  supervision.Detections, and what looks like it

COCO results, the form that Liftgate itself writes, is `data/formats/coco/predictions.py`.
"""

from liftgate.data.detections.fiftyone import from_samples
from liftgate.data.detections.read import Ahead, Source, read_ahead, read_predictions
from liftgate.data.detections.supervision import from_supervision

__all__ = ["Ahead", "Source", "from_samples", "from_supervision", "read_ahead", "read_predictions"]

"""Sampling: which frames to label next.

A frame is wanted for a **reason**: production flagged it (`red`, `yellow`), the model was unsure (`low_confidence`),
champion and challenger do not agree (`disagreement`), something was found that should not be there or the reverse
(`hard_negative`, `hard_positive`), or no similar scene was chosen yet (`spread`). The budget is shared out over
the reasons for which there is evidence; within each, frames are spread over cameras and days, and near-copies of what
is already taken are passed over. Frames of a locked test group are never candidates.

records.py   frames, what a log says of them, the request, the result
frames.py    frames from a manifest or a folder
logs.py      prediction logs: COCO results, JSON lines, CSV
signals.py   from what the logs say to a score for every frame and reason (arrays, no files)
choose.py    from scores to a choice (arrays, no files)
locked.py    what must never be chosen
sample.py    all of it, and the CSV
"""

from liftgate.data.sampling.records import Sample, SamplingRequest
from liftgate.data.sampling.sample import sample

__all__ = ["Sample", "SamplingRequest", "sample"]

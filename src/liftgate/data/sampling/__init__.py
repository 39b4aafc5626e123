"""Sampling: choose the frames to label next.

A frame is chosen for a **reason**: production flagged it (`red`, `yellow`), the model was unsure (`low_confidence`),
champion and challenger disagree (`disagreement`), nothing like it was trained on (`new_look`), there is a false
positive or a miss (`hard_negative`, `hard_positive`), or no similar scene was chosen yet (`spread`). The budget is
divided among the reasons for which there is evidence; within each, frames are spread over cameras and days, and
near-copies of chosen frames are skipped. Frames of a locked test group are never candidates.

records.py   frames, log entries, the request, the result
frames.py    frames from a manifest or a folder
logs.py      prediction logs: COCO results, JSON lines, CSV
signals.py   from log entries to a score for every frame and reason (arrays, no files)
choose.py    from scores to a choice (arrays, no files)
locked.py    frames of locked splits, which must never be chosen
sample.py    all of it, and the CSV
"""

from liftgate.data.sampling.records import Sample, SamplingRequest
from liftgate.data.sampling.sample import sample

__all__ = ["Sample", "SamplingRequest", "sample"]

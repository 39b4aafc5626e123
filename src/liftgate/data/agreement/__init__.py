"""Two **label sets** of the same frames, laid over each other: which box of one annotator is which box of the other.

`frames` finds the frames that both have labelled, `matching` pairs their boxes and leaves one table of `Sightings` (one
row per object that either has drawn), `overlap` draws the frames to label twice. The coefficients are computed by
`measure.agreement` from those tables.
"""

from liftgate.data.agreement.matching import NONE, Sightings, match_boxes, sightings
from liftgate.data.agreement.overlap import draw_overlap
from liftgate.data.agreement.shared_frames import Frames, shared_frames

__all__ = ["NONE", "Frames", "Sightings", "draw_overlap", "match_boxes", "shared_frames", "sightings"]

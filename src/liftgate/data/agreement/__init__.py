"""**Agreement**: two label sets of the same frames, compared box by box.

`shared_frames` finds the frames that both annotators have labelled, `matching` pairs their boxes and returns one table
of `ObjectMatches` (one row per object that either has drawn), `overlap` draws the frames to label twice. The
coefficients are computed by `evaluation.label_agreement` from those tables.
"""

from liftgate.data.agreement.matching import NONE, ObjectMatches, match_boxes, match_objects
from liftgate.data.agreement.overlap import draw_overlap
from liftgate.data.agreement.shared_frames import SharedFrames, shared_frames

__all__ = ["NONE", "ObjectMatches", "SharedFrames", "draw_overlap", "match_boxes", "match_objects", "shared_frames"]

"""**Pre-labels**: a model's boxes on new frames, sent to CVAT for correction and read back.

`export` writes frames with a model's boxes for CVAT, `corrected` reads the corrected labels, `server` pushes and pulls
with the `cvat` extra. What people changed is counted by `evaluation.corrections`.
"""

from liftgate.data.prelabels.corrected import read_corrected
from liftgate.data.prelabels.export import PrelabelExport, export_prelabels, frames_dataset, with_prelabels

__all__ = ["PrelabelExport", "export_prelabels", "frames_dataset", "read_corrected", "with_prelabels"]

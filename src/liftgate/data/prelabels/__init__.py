"""**Pre-labels**: what a model says of frames before a person does, sent to CVAT and back.

`export` writes frames with a model's boxes for CVAT, `corrected` reads what people made of them, `server` pushes and
pulls with the `cvat` extra. What people changed is counted by `measure.corrections`.
"""

from liftgate.data.prelabels.corrected import read_corrected
from liftgate.data.prelabels.export import PrelabelExport, export_prelabels, frames_dataset, with_prelabels

__all__ = ["PrelabelExport", "export_prelabels", "frames_dataset", "read_corrected", "with_prelabels"]

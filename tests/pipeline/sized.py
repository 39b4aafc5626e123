"""A toy backend whose models find everything at 640 pixels and one object of an image at other sizes."""

from __future__ import annotations

import json
from dataclasses import replace

from liftgate.backends.base import PredictJob
from liftgate.backends.events import Emit, Json
from liftgate.backends.toy import Toy


class Sized(Toy):
    """The child's end."""

    def predict(self, job: PredictJob, emit: Emit) -> Json:
        most = 300 if job.settings["imgsz"] == 640 else 1
        used = super().predict(replace(job, settings={**job.settings, "max_det": most}), emit)
        more = {"imgsz": job.settings["imgsz"], "iou": 0.7, "max_det": 300}
        path = job.out.with_name(f"{job.out.stem}.settings.json")
        path.write_text(json.dumps(json.loads(path.read_text()) | more))
        return {**used, **more}

"""The images of a data set through a server of `liftgate serve`, as predictions of one version of the model."""

from __future__ import annotations

import threading
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from liftgate.data.core.dataset import Dataset, Labels
from liftgate.data.remote.hosts import require_allowed_host
from liftgate.deploy.remote_predictions import ApiEndpoint, ApiMapping, ApiPredictions, RequestPolicy, predict_api
from liftgate.deploy.remote_predictions.api_mapping import Sending
from liftgate.deploy.remote_predictions.sendable_images import require_own_images
from liftgate.deploy.serving.answers import ModelAnswer
from liftgate.deploy.serving.client import Client
from liftgate.errors import DataError
from liftgate.progress import Progress, silent


@dataclass(frozen=True, slots=True)
class ServerAddress:
    """A server, and what is needed to ask it."""

    url: str
    """Without a route"""
    token: str | None = None
    allowed_hosts: Collection[str] = ()
    """Hosts that confidential images may be sent to"""


def mapping_of_server(conf: float | None) -> ApiMapping:
    """Return how a server of `liftgate serve` takes images and answers.

    Args:
        conf: least confidence to ask for; None: the server's.
    """
    query: dict[str, str | int | float | bool] = {} if conf is None else {"conf": conf}
    return ApiMapping(
        boxes="detections.*.box", scores="detections.*.confidence", classes="detections.*.class",
        send=Sending(as_="body", query=query),
    )  # fmt: skip


def predict_through_server(
    dataset: Dataset,
    server: ServerAddress,
    answers: Path,
    *,
    conf: float | None,
    policy: RequestPolicy,
    folders: Sequence[Path],
    partial: bool = False,
    progress: Progress = silent,
) -> ApiPredictions:
    """Post every image of a data set to a server and return its answers, in the model's own classes.

    Answers are saved in the folder `answers`, each with the version that made it; an image that has one there is not
    sent again.

    Args:
        dataset: the images.
        server: where they are posted.
        answers: folder of the raw answers.
        conf: least confidence; None: the server's.
        policy: rate, requests in flight, tries, timeout.
        folders: real folders that images may be sent from.
        partial: True leaves images without an answer out.
        progress: called with the number of answers.

    Raises:
        DataError: another version answers than at the start, or keypoints come back.
        Refused: the data are confidential, an image lies outside the folders, or the server redirects.
        LiftgateError: the server is down, or images got no answer.
    """
    # Before the server is asked anything: nobody should learn of images that may not leave.
    require_allowed_host(server.url, confidential=dataset.confidential, allowed=server.allowed_hosts, what=dataset.name)
    require_own_images(dataset, folders)
    with Client(server.url, token=server.token, timeout=policy.timeout, tries=policy.tries) as client:
        model = client.model()
    endpoint = ApiEndpoint(
        server.url.rstrip("/") + "/predict", mapping_of_server(conf), allowed_hosts=server.allowed_hosts,
        token=server.token, accept=_OneModel(model, answers).accept,
    )  # fmt: skip
    images = replace(dataset, classes=tuple(model.classes), category_ids=(), labels=Labels.build([], [], []))
    made = predict_api(images, endpoint, answers, policy=policy, partial=partial, folders=folders, progress=progress)
    settings: dict[str, Any] = {
        **made.predictions.settings, "model_version": model.model_version, "weights": model.model_hash,
        "conf": model.threshold if conf is None else conf, "iou": model.iou, "max_det": model.max_det,
        "imgsz": [model.input_height, model.input_width], "runtime": model.runtime,
    }  # fmt: skip
    return replace(made, predictions=replace(made.predictions, settings=settings))


class _OneModel:
    """Refuses answers of another model than the one that answered at the start."""

    def __init__(self, model: ModelAnswer, folder: Path) -> None:
        self._version, self._hash, self._folder = model.model_version, model.model_hash, folder
        self._lock = threading.Lock()
        self._count = 0

    def accept(self, image: str, answer: Any) -> None:
        version = answer.get("model_version") if isinstance(answer, dict) else None
        if version is None or not isinstance(answer.get("detections"), list):
            raise DataError("this is no answer of a Liftgate server", where=image)
        if (version, answer.get("model_hash")) != (self._version, self._hash):
            hint = f"{self._folder} has the version of each answer: delete it, or give another --out, and run again"
            raise DataError(
                f"another version of the model answered after {self._count} images: predictions are of one model",
                where=image, expected=f"{self._version} ({self._hash[:12]})",
                got=f"{version} ({str(answer.get('model_hash'))[:12]})", hint=hint,
            )  # fmt: skip
        if any("keypoints" in one for one in answer["detections"] if isinstance(one, dict)):
            hint = "`liftgate predict` on the export itself keeps them"
            raise DataError("predictions over HTTP hold boxes, and this model gives keypoints", where=image, hint=hint)
        with self._lock:
            self._count += 1

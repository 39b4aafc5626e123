"""Predict on any images through a server of `liftgate serve`."""

from __future__ import annotations

import os
from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from liftgate.data.core.dataset import Dataset
from liftgate.data.provenance.declared_terms import DeclaredTerms, known_terms
from liftgate.deploy.export.card import UseSettings
from liftgate.deploy.remote_predictions.request_queue import RequestPolicy
from liftgate.deploy.remote_predictions.sendable_images import own_folders
from liftgate.deploy.runtime.predict import with_thresholds
from liftgate.deploy.serving.settings import read_token
from liftgate.errors import UsageError
from liftgate.pipeline.model_predictions import PredictionResult, in_classes_of
from liftgate.progress import Progress, silent
from liftgate.services.prediction import checked_out, read_images, write_result

if TYPE_CHECKING:
    from liftgate.deploy.remote_predictions import ApiPredictions


@dataclass(frozen=True, slots=True)
class ServedPredictions:
    """Predictions of a server, and what it took to get them."""

    result: PredictionResult
    answers: Path
    """Folder of the raw answers, each with the version that made it"""
    n_asked: int
    """Images that were posted"""
    n_saved: int
    """Images whose answers were saved before"""
    p50_ms: float | None
    p95_ms: float | None


def predict_api(
    url: str,
    images: Dataset | Path | str,
    out: Path | str,
    *,
    split: str | None = None,
    conf: float | None = None,
    token_file: Path | str | None = None,
    policy: RequestPolicy | None = None,
    confidential: bool = False,
    allowed_hosts: Collection[str] = (),
    allowed_folders: Collection[Path | str] = (),
    page: Path | str | None = None,
    progress: Progress = silent,
) -> ServedPredictions:
    """Predict through a server of `liftgate serve` on images, labelled or not.

    The raw answers are saved beside `out`, in `<stem>.answers/`; what is answered there is not sent again. All answers
    must be of one version of the model: a promotion in the middle is an error.

    Args:
        url: of the server, without a route.
        images: a folder of images, one image, a frames.csv, or a data set; or a Dataset.
        out: where to write COCO results, a .json.
        split: of a data set; None: all its images.
        conf: least confidence; None: 0.001, which mAP needs.
        token_file: file with the server's token; None: LIFTGATE_SERVE_TOKEN.
        policy: rate, requests in flight, tries and timeout.
        confidential: True refuses every host that is not in `allowed_hosts`; so does a data set's own card.
        allowed_hosts: hosts that confidential images may be sent to.
        allowed_folders: folders outside the data set's own that images may be sent from.
        page: where to write a page with pictures, an .html; None: nowhere.
        progress: called with the number of answers.

    Raises:
        Refused: the data are confidential, an image lies outside the folders, or the server redirects.
        UsageError: no such images, no valid token, or a value that is not possible.
        DataError: another version of the model answered in the middle, or a model with keypoints.
        LiftgateError: the server is down, or images got no answer; the same call requests those that are missing.
    """
    from liftgate.deploy.serving.whole_dataset import ServerAddress, predict_through_server

    use = with_thresholds(UseSettings(), conf, None, None)
    target, shown = checked_out(out, ".json", "COCO results are"), checked_out(page, ".html", "a page with pictures is")
    if target is None:
        raise UsageError("answers need a place", expected="--out JSON")
    token = read_token(None if token_file is None else Path(token_file), os.environ.get("LIFTGATE_SERVE_TOKEN"))
    dataset = read_images(images, split=split, progress=progress)
    terms = known_terms(dataset, DeclaredTerms(confidential=confidential))
    dataset = replace(dataset, confidential=terms.confidential)
    folders = (*own_folders(dataset), *(Path(one).resolve() for one in allowed_folders))
    answers = target.with_name(f"{target.stem}.answers")
    made: ApiPredictions = predict_through_server(
        dataset, ServerAddress(url, token, allowed_hosts), answers, conf=use.conf,
        policy=policy or RequestPolicy(), folders=folders, progress=progress,
    )  # fmt: skip
    result = in_classes_of(PredictionResult(made.predictions, dataset), dataset)
    version = str(made.predictions.settings["model_version"])
    write_result(version, result, target, shown)
    return ServedPredictions(result, answers, made.n_asked, made.n_saved, made.p50_ms, made.p95_ms)

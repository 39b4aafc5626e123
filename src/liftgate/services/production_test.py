"""Test a model that answers over HTTP before it is relied on: metrics, seconds, and predictions to look at."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from liftgate.data.core.dataset import Dataset
from liftgate.data.formats.coco import write_predictions
from liftgate.data.provenance.declared_terms import DeclaredTerms, known_terms
from liftgate.deploy.remote_predictions import (
    ApiEndpoint,
    ApiPredictions,
    RequestPolicy,
    predict_api,
    read_mapping,
)
from liftgate.deploy.remote_predictions.sendable_images import own_folders
from liftgate.deploy.serving.settings import read_token
from liftgate.deploy.serving.whole_dataset import ServerAddress, predict_through_server
from liftgate.errors import DataError, UsageError
from liftgate.evaluation.records import Evaluation
from liftgate.evaluation.truth import read_truth
from liftgate.files import write_json, write_text
from liftgate.judging.marks import MARKS, MarkedRate, draw_marks, marked_rate, read_draw_of_marks, write_marks
from liftgate.judging.marks import PAGE as MARKS_PAGE
from liftgate.pipeline.model_predictions import PredictionResult, in_classes_of
from liftgate.progress import Progress, silent
from liftgate.services.evidence import evaluate
from liftgate.stats.clustered import quantile_interval
from liftgate.stats.interval import Interval

PREDICTIONS, EVALUATION, REPORT, MARKS_FOLDER = "predictions.json", "evaluation.json", "REPORT.md", "marks"
_ALL_CONFIDENCES = 0.001
_SCREENING = ("accuracy", "detection_rate", "false_alarm_rate")


@dataclass(frozen=True, slots=True)
class ApiAccess:
    """How an API is asked: what `ask` takes, too."""

    mapping: Path | str | None = None
    """YAML that says how images are posted and answers read; None: a server of `liftgate serve`"""
    headers: Mapping[str, str] | None = None
    """Header → name of the environment variable that holds its value"""
    token_file: Path | str | None = None
    """Token of a server of `liftgate serve`; None: LIFTGATE_SERVE_TOKEN"""
    policy: RequestPolicy | None = None
    confidential: bool = False
    """True refuses every host that is not in `allowed_hosts`; so does a data set's own card"""
    allowed_hosts: Collection[str] = ()
    allowed_folders: Collection[Path | str] = ()


@dataclass(frozen=True, slots=True)
class ProductionTest:
    """What a production test measured."""

    evaluation: Evaluation
    seconds: Mapping[str, Interval]
    """p50 and p95 of the seconds for an image, one request at a time unless the policy says otherwise"""
    model_version: str | None
    """Of a server of `liftgate serve`; None: the API does not say"""
    folder: Path
    n_asked: int
    """Images that were posted"""
    n_saved: int
    """Images whose answers were saved before"""
    to_mark: int
    """Predictions on the page to mark"""

    @property
    def rollback(self) -> str:
        """The command that takes the model back."""
        return "liftgate models rollback --reason 'the production test'"

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values: the evaluation's, and beside them what is of the API."""
        return {
            **self.evaluation.to_dict(), "seconds_per_image": {name: asdict(one) for name, one in self.seconds.items()},
            "model_version": self.model_version, "out": str(self.folder), "n_asked": self.n_asked,
            "n_saved": self.n_saved, "to_mark": self.to_mark, "rollback": self.rollback,
        }  # fmt: skip


def evaluate_api(
    truth: Dataset | Path | str,
    url: str,
    out: Path | str,
    *,
    access: ApiAccess | None = None,
    groups: str | None = None,
    split: str | None = None,
    images: Path | str | None = None,
    level: float = 0.95,
    conf: float = 0.25,
    threats: Sequence[str] = (),
    threshold: float | None = None,
    to_mark: int = 100,
    seed: int = 0,
    open_anyway: str | None = None,
    progress: Progress = silent,
) -> ProductionTest:
    """Ask an API about labelled images, evaluate its answers, and write a page of random predictions to mark.

    `out` gets predictions.json with the raw answers beside it, evaluation.json, marks/marks.html and REPORT.md. The
    same call goes on where one was cut off, and sends no image twice.

    Args:
        truth: COCO JSON, data.yaml, VOC folder, or a Dataset.
        url: of a server of `liftgate serve`, without a route; with a mapping, where images are posted.
        out: a folder.
        access: mapping, keys and limits.
        groups: regex with (?P<group>…), CSV with columns image,group, or `folder`.
        split: which split; default val, where the truth has one.
        images: folder of the images, where the labels do not name it.
        level: of the intervals.
        conf: confidence threshold of rates, and of the predictions to mark.
        threats: classes that are a threat, for the metrics of whole images.
        threshold: from which score on an image is flagged.
        to_mark: random predictions on the page.
        seed: of their draw.
        open_anyway: as in `evaluate`.
        progress: called with the number of answers.

    Raises:
        Refused: the data are confidential, an image lies outside the folders, or the API redirects.
        UsageError: an option or an address that cannot be used, or a truth that cannot be read.
        DataError: an answer does not fit, another version of the model answered, or `out` holds another draw.
        LiftgateError: the API is down, or images got no answer; the same call asks for the rest.
    """
    access = access or ApiAccess()
    if to_mark < 1:
        raise UsageError("the number of predictions to mark is out of range", expected="at least 1", got=to_mark)
    folder = Path(out)
    if folder.exists() and not folder.is_dir():
        raise UsageError("the results are a folder", where=folder)
    dataset = read_truth(truth, groups=groups, split=split, images=images, progress=progress)
    terms = known_terms(dataset, DeclaredTerms(confidential=access.confidential))
    dataset = replace(dataset, confidential=terms.confidential)
    folder.mkdir(parents=True, exist_ok=True)
    made, found = _answers(dataset, url, folder, access, images, progress)
    write_predictions(found.predictions, found.dataset, folder / PREDICTIONS)
    evaluation = evaluate(
        dataset, found.predictions, level=level, conf=conf, threats=threats, threshold=threshold,
        open_anyway=open_anyway, progress=progress,
    )  # fmt: skip
    drawn = 0
    if not found.predictions.image_level and (found.predictions.scores >= conf).any():
        drawn = _write_marks(found, folder / MARKS_FOLDER, folder, conf, to_mark, seed, progress)
    version = found.predictions.settings.get("model_version")
    result = ProductionTest(
        evaluation, _seconds(dataset, made, level), None if version is None else str(version), folder, made.n_asked,
        made.n_saved, drawn,
    )  # fmt: skip
    write_json(folder / EVALUATION, result.to_dict())
    write_text(folder / REPORT, _report(result, url))
    return result


def read_marks(out: Path | str, answers: Path | str, level: float = 0.95) -> MarkedRate:
    """Return what a person's marks say of all predictions of a production test.

    Args:
        out: folder of the test.
        answers: answers.csv of its page.
        level: of the interval.

    Raises:
        DataError: marks of another draw, given twice or incomplete.
    """
    return marked_rate(read_draw_of_marks(Path(out) / MARKS_FOLDER), Path(answers), level)


def _answers(
    dataset: Dataset, url: str, folder: Path, access: ApiAccess, images: Path | str | None, progress: Progress
) -> tuple[ApiPredictions, PredictionResult]:
    policy = access.policy or RequestPolicy()
    own = own_folders(dataset, None if images is None else Path(images))
    folders = (*own, *(Path(one).resolve() for one in access.allowed_folders))
    saved = folder / "answers"
    if access.mapping is None:
        if access.headers:
            hint = "--mapping api.yaml for another API; a server of `liftgate serve` has --token-file"
            raise UsageError("headers are of an API with a mapping", hint=hint)
        token = read_token(
            None if access.token_file is None else Path(access.token_file), os.environ.get("LIFTGATE_SERVE_TOKEN")
        )
        server = ServerAddress(url, token, access.allowed_hosts)
        made = predict_through_server(
            dataset, server, saved, conf=_ALL_CONFIDENCES, policy=policy, folders=folders, progress=progress
        )
        return made, in_classes_of(PredictionResult(made.predictions, dataset), dataset)
    if access.token_file is not None:
        raise UsageError("a token file is of a server of `liftgate serve`", hint="--header NAME=VARIABLE")
    endpoint = ApiEndpoint(url, read_mapping(Path(access.mapping)), access.headers or {}, access.allowed_hosts)
    made = predict_api(dataset, endpoint, saved, policy=policy, folders=folders, progress=progress)
    return made, PredictionResult(made.predictions, dataset)


def _write_marks(
    found: PredictionResult, marks: Path, out: Path, conf: float, most: int, seed: int, progress: Progress
) -> int:
    draw = draw_marks(found.dataset, found.predictions, conf, most=most, seed=seed)
    if (marks / MARKS).is_file():
        if read_draw_of_marks(marks).hash != draw.hash:
            hint = "give another --out: marks of the first draw stay with its predictions"
            raise DataError("there is a page of other predictions to mark", where=marks, hint=hint)
    else:
        write_marks(draw, found.dataset, marks, f"liftgate evaluate --marks answers.csv --out {out}", progress=progress)
    return len(draw.items)


def _seconds(dataset: Dataset, made: ApiPredictions, level: float) -> dict[str, Interval]:
    keys = {image.id: image.key for image in dataset.images}
    _, group = np.unique([keys[image] for image in made.seconds], return_inverse=True)
    values = list(made.seconds.values())
    return {f"p{round(share * 100)}": quantile_interval(values, group, share, level) for share in (0.5, 0.95)}


def _report(test: ProductionTest, url: str) -> str:
    """Return REPORT.md: what was measured, what is to be marked, and how to go back."""
    evaluation = test.evaluation
    names = [name for name in _SCREENING if name in evaluation.metrics]
    names += [name for name in evaluation.metrics if name not in names and name in evaluation.intervals]
    lines = [
        "# Production test", "",
        f"{url}, model {test.model_version or 'of an unknown version'}: {evaluation.n_images} images in "
        f"{evaluation.n_groups} groups; {evaluation.level:.0%} intervals over groups.", "",
        "| what | value | interval |", "|---|---|---|",
    ]  # fmt: skip
    for name in names:
        value, interval = evaluation.metrics[name], evaluation.intervals.get(name)
        lines.append(f"| {name} | {'–' if value is None else f'{value:.3f}'} | {_bounds(interval)} |")
    for name, one in test.seconds.items():
        lines.append(f"| seconds per image, {name} | {one.estimate:.3f} | {_bounds(one)} |")
    if flagged := evaluation.flagged_images:
        lines += ["", f"Whole images: {flagged}."]
    if test.to_mark:
        lines += [
            "", f"**Look**: {test.to_mark} random predictions are on [{MARKS_FOLDER}/{MARKS_PAGE}]"
            f"({MARKS_FOLDER}/{MARKS_PAGE}). Mark them by keyboard, save answers.csv, then:", "",
            "```console", f"$ liftgate evaluate --marks answers.csv --out {test.folder}", "```",
        ]  # fmt: skip
    lines += ["", "**Go back** to the champion before this one:", "", "```console", f"$ {test.rollback}", "```", ""]
    return "\n".join(lines)


def _bounds(interval: Interval | None) -> str:
    if interval is None or interval.low is None or interval.high is None:
        return "not established"
    return f"{interval.low:.3f} – {interval.high:.3f}"

"""Predict with an HTTP API: every image of a data set is posted once, at a limited rate, with retries."""

from __future__ import annotations

import contextlib
import os
import re
import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import msgspec
import numpy as np

from liftgate.data.core.dataset import Dataset, Image, Labels
from liftgate.data.core.predictions import Predictions
from liftgate.data.core.safe_names import require_utf8_names
from liftgate.data.detections.builder import PredictionsBuilder
from liftgate.data.formats.coco import write_predictions
from liftgate.data.provenance.declared_terms import DeclaredTerms, known_terms
from liftgate.data.remote.hosts import require_allowed_host
from liftgate.deploy.remote_predictions.answer_cache import Answer, AnswerCache
from liftgate.deploy.remote_predictions.api_mapping import ApiMapping, add_answer, read_mapping
from liftgate.deploy.remote_predictions.client import ApiClient
from liftgate.deploy.remote_predictions.rate_limit import RateLimiter
from liftgate.deploy.remote_predictions.request_queue import RequestPolicy, RequestQueue
from liftgate.deploy.remote_predictions.secret_mask import SecretMask
from liftgate.deploy.remote_predictions.sendable_images import own_folders, require_own_images
from liftgate.errors import LiftgateError, UsageError
from liftgate.evaluation.truth import read_truth
from liftgate.progress import Progress, silent

_CLASS_HINT = "names: {WORD: CLASS} in the mapping gives its class, names: {WORD: null} leaves it out"
_FAILURES_WHEN_DOWN = 3
"""Images in a row without an answer after which the API counts as down"""


def _accept_all(_: str, __: Any) -> None:
    return None


@dataclass(frozen=True, slots=True)
class ApiEndpoint:
    """An HTTP API and what it needs to be called."""

    url: str
    """Where to post, without parameters"""
    mapping: ApiMapping
    headers: Mapping[str, str] = field(default_factory=dict)
    """Header → name of the environment variable that holds its value; the value is never printed or stored."""
    allowed_hosts: Collection[str] = ()
    """Hosts that confidential images may be sent to"""
    token: str | None = field(default=None, repr=False)
    """Sent as `Authorization: Bearer`; never printed or stored"""
    accept: Callable[[str, Any], None] = _accept_all
    """Called with the id of an image and its answer, decoded; raises where predictions cannot hold it"""


class Clock(NamedTuple):
    """Time for the rate limit; a test brings its own."""

    now: Callable[[], float] = time.monotonic
    """Seconds"""
    sleep: Callable[[float], object] | None = None
    """None: sleeps until the time is over or the work is stopped"""


@dataclass(frozen=True, slots=True)
class ApiPredictions:
    """Predictions of an API, and what it took to get them."""

    predictions: Predictions
    n_asked: int
    """Images that were posted"""
    n_saved: int
    """Images whose answers were saved before"""
    p50_ms: float | None
    p95_ms: float | None
    failed: Mapping[str, str] = field(default_factory=dict)
    """image id → why there is no answer"""
    seconds: Mapping[str, float] = field(default_factory=dict)
    """image id → time of its answer, saved ones too"""


def predict_api(
    dataset: Dataset,
    endpoint: ApiEndpoint,
    answers: Path,
    *,
    policy: RequestPolicy | None = None,
    partial: bool = False,
    folders: Sequence[Path] | None = None,
    clock: Clock = Clock(),  # noqa: B008  immutable
    progress: Progress = silent,
) -> ApiPredictions:
    """Post every image of a data set to an API and return its answers as Predictions.

    Answers are saved in the folder `answers`; an image that has one there is not sent again.

    Args:
        dataset: images are sent as they are on disk; boxes must come back in pixels of the upright image.
        endpoint: address, mapping and headers.
        answers: folder of the raw answers.
        policy: rate, requests in flight, tries, timeout and size.
        partial: True leaves images without an answer out; False stops at the end if there are any.
        folders: real folders that images may be sent from; None: the data set's own.
        clock: time for the rate limit.
        progress: called with the number of answers.

    Raises:
        Refused: the data are confidential, an image lies outside the folders, or the API redirects.
        UsageError: the address, a header or the mapping is not valid.
        DataError: an image is missing, or an answer does not fit the mapping.
        LiftgateError: the API is down, or images got no answer; the same call requests those that are missing.
    """
    policy = policy or RequestPolicy()
    require_allowed_host(
        endpoint.url, confidential=dataset.confidential, allowed=endpoint.allowed_hosts, what=dataset.name
    )
    folders = own_folders(dataset) if folders is None else folders
    require_own_images(dataset, folders)
    keys = _header_values(endpoint.headers)
    keys |= {} if endpoint.token is None else {"Authorization": f"Bearer {endpoint.token}"}
    sending = endpoint.mapping.send
    client = ApiClient(endpoint.url, sending, keys, timeout=policy.timeout, max_answer_bytes=policy.max_answer_bytes)
    cache = AnswerCache(answers, endpoint.url, msgspec.to_builtins(sending))
    stopped = threading.Event()
    limiter = RateLimiter(policy.rate, clock.now, clock.sleep or stopped.wait)
    queue = RequestQueue(client, cache, policy, limiter, stopped, SecretMask(keys.values()), folders)
    with contextlib.closing(client):
        collected = _collect(dataset, endpoint, queue, progress)
    if collected.failed and not (partial and collected.answers):
        raise collected.error(endpoint.url, f"{len(collected.failed)} images got no answer")
    return _as_predictions(dataset, endpoint, collected, cache, policy)


def predict_api_files(
    truth: Path | str,
    url: str,
    mapping: Path | str,
    out: Path | str,
    *,
    split: str | None = None,
    images: Path | str | None = None,
    confidential: bool = False,
    policy: RequestPolicy | None = None,
    headers: Mapping[str, str] | None = None,
    allowed_hosts: Collection[str] = (),
    allowed_folders: Collection[Path | str] = (),
    partial: bool = False,
    progress: Progress = silent,
) -> ApiPredictions:
    """Post the images of a truth set to an API and write its answers as COCO results.

    The raw answers are saved beside `out`, in `<stem>.answers/`; what is answered there is not sent again.

    Args:
        truth: COCO JSON, data.yaml or VOC folder.
        url: where to post, without parameters.
        mapping: YAML that says how the image is posted and where in the answer the detections are.
        out: the COCO results, a .json.
        split: default val, where there is one.
        images: folder of the images, where the labels do not name it.
        confidential: True refuses every host that is not in `allowed_hosts`; so does a data set's own card.
        policy: rate, requests in flight, tries, timeout and size.
        headers: header → name of the environment variable that holds its value.
        allowed_hosts: hosts that confidential images may be sent to.
        allowed_folders: folders outside the data set's own that images may be sent from.
        partial: True leaves images without an answer out.
        progress: called with the number of answers.

    Raises:
        Refused: the data are confidential, an image lies outside the folders, or the API redirects.
        UsageError: the address, a header, the mapping or `out` is not valid.
        DataError: an image is missing, or an answer does not fit the mapping.
        LiftgateError: the API is down, or images got no answer.
    """
    out = Path(out)
    if out.suffix.lower() != ".json":
        raise UsageError("COCO results are a .json", where=out)
    images = None if images is None else Path(images)
    dataset = read_truth(truth, split=split, images=images, progress=progress)
    dataset = replace(dataset, confidential=known_terms(dataset, DeclaredTerms(confidential=confidential)).confidential)
    # Before the first request: the results could not be written, and the answers are paid for.
    require_utf8_names((image.id for image in dataset.images if image.coco_id is None), dataset.source)
    endpoint = ApiEndpoint(url, read_mapping(Path(mapping)), headers or {}, allowed_hosts)
    folders = (*own_folders(dataset, images), *(Path(folder).resolve() for folder in allowed_folders))
    answers = out.with_name(f"{out.stem}.answers")
    result = predict_api(dataset, endpoint, answers, policy=policy, partial=partial, folders=folders, progress=progress)
    write_predictions(result.predictions, dataset, out)
    return result


@dataclass(slots=True)
class _Collected:
    """Answers so far."""

    n_images: int
    answers: dict[int, Answer] = field(default_factory=dict)
    """By index of the image"""
    n_sent: int = 0
    failed: dict[str, str] = field(default_factory=dict)

    def error(self, url: str, what: str) -> LiftgateError:
        image, reason = list(self.failed.items())[-1]
        hint = (
            f"{len(self.answers)} of {self.n_images} images are answered and saved; the same command requests the rest"
        )
        return LiftgateError(what, where=urlsplit(url).hostname, got=f"for {image!r}: {reason}", hint=hint)


def _collect(dataset: Dataset, endpoint: ApiEndpoint, queue: RequestQueue, progress: Progress) -> _Collected:
    collected = _Collected(len(dataset.images))
    in_a_row = 0
    with contextlib.closing(queue.run(dataset.images)) as results:
        for result in results:
            image = dataset.images[result.image_index]
            if result.answer is None:
                assert result.failure is not None
                collected.failed[image.id] = str(result.failure)
                in_a_row += result.failure.sent
                if in_a_row >= _FAILURES_WHEN_DOWN:
                    raise collected.error(endpoint.url, "the API seems to be down")
                continue
            if not result.was_saved:
                collected.n_sent += 1
                in_a_row = 0
            endpoint.accept(image.id, result.answer.answer)
            # At once, not at the end: a mapping that does not fit should cost one request, not a thousand.
            _try_mapping(dataset, image, result.answer, queue.cache, endpoint.mapping)
            collected.answers[result.image_index] = result.answer
            progress("asking", len(collected.answers), collected.n_images)
    return collected


def _as_predictions(
    dataset: Dataset, endpoint: ApiEndpoint, collected: _Collected, cache: AnswerCache, policy: RequestPolicy
) -> ApiPredictions:
    builder = PredictionsBuilder(dataset, hint=_CLASS_HINT)
    for index, answer in sorted(collected.answers.items()):
        add_answer(builder, _place(cache, answer), index, answer.answer, endpoint.mapping)
    speed = _speed(list(collected.answers.values()), policy)
    model = {"url": endpoint.url, "send": msgspec.to_builtins(endpoint.mapping.send)}
    settings = {"backend": "http", "model": model, "speed": speed}
    return ApiPredictions(
        predictions=builder.build(settings, image_level=endpoint.mapping.boxes is None),
        n_asked=collected.n_sent,
        n_saved=len(collected.answers) - collected.n_sent,
        p50_ms=speed.get("p50_ms"),
        p95_ms=speed.get("p95_ms"),
        failed=collected.failed,
        seconds={answer.image: answer.seconds for answer in collected.answers.values()},
    )


def _try_mapping(dataset: Dataset, image: Image, answer: Answer, cache: AnswerCache, mapping: ApiMapping) -> None:
    alone = replace(dataset, images=(image,), labels=Labels.build([], [], []))
    add_answer(PredictionsBuilder(alone, hint=_CLASS_HINT), _place(cache, answer), 0, answer.answer, mapping)


def _place(cache: AnswerCache, answer: Answer) -> str:
    return f"{answer.image}, {cache.path(answer.image)}"


def _header_values(headers: Mapping[str, str]) -> dict[str, str]:
    """Return the values of headers, from the environment variables that `headers` names."""
    values: dict[str, str] = {}
    for name, variable in headers.items():
        if not re.fullmatch(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+", name):
            raise UsageError("not the name of a header", got=name)
        value = os.environ.get(variable)
        if not value:
            raise UsageError(f"{variable} is not set", where=f"header {name}", hint="export it, whole: 'Bearer …'")
        if not re.fullmatch(r"[\x20-\x7e]+", value):
            raise UsageError(f"{variable} has a character that no header may have", where=f"header {name}")
        values[name] = value
    return values


def _speed(answers: Sequence[Answer], policy: RequestPolicy) -> dict[str, Any]:
    if not answers:
        return {}
    p50, p95 = (round(1000 * float(q), 3) for q in np.quantile([one.seconds for one in answers], [0.5, 0.95]))
    retries = sum(one.attempts - 1 for one in answers)
    counts = {"n": len(answers), "retries": retries, "rate": policy.rate, "at_once": policy.at_once}
    return {"p50_ms": p50, "p95_ms": p95, **counts}

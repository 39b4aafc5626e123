"""All images of a truth set shown to an API: asked at a pace, again where that helps, never twice, as Predictions."""

from __future__ import annotations

import contextlib
import hashlib
import mimetypes
import os
import re
import threading
import time
from collections.abc import Callable, Collection, Generator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import asdict, dataclass, field, replace
from http.client import HTTPException
from itertools import islice
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec
import numpy as np

from liftgate.data.core.dataset import Dataset, Image, Labels
from liftgate.data.core.predictions import Predictions
from liftgate.data.detections.builder import PredictionsBuilder
from liftgate.data.formats.coco import write_predictions
from liftgate.data.provenance.declared_terms import DeclaredTerms, known_terms
from liftgate.data.remote.hosts import require_allowed_host
from liftgate.deploy.remote_predictions.answer_cache import Answer, AnswerCache
from liftgate.deploy.remote_predictions.api_mapping import ApiMapping, add_answer, read_mapping
from liftgate.deploy.remote_predictions.client import Client
from liftgate.deploy.remote_predictions.rate_limit import RateLimiter
from liftgate.errors import DataError, LiftgateError, UsageError
from liftgate.evaluation.truth import read_truth
from liftgate.progress import Progress, silent

_AGAIN = frozenset({408, 425, 429, 500, 502, 503, 504})
_ABOUT_US = {401: "is the key right?", 403: "is the key right?", 404: "is the address right?", 405: "is it POST?"}
_CLASSES = "names: {WORD: CLASS} in the mapping says what it is, names: {WORD: null} leaves it out"
_DOWN = 3
"""Images in a row without an answer after which the API counts as down"""
_LONGEST_REST = 300.0


@dataclass(frozen=True, slots=True)
class RequestPolicy:
    """How an API is treated."""

    rate: float | None = None
    """Questions per second at most"""
    at_once: int = 1
    """Questions in flight; with more than one, the time per image is that of a busy server"""
    tries: int = 5
    timeout: float = 30.0
    """Seconds until a whole answer must be there"""
    largest: int = 16 << 20
    """Bytes of an answer"""

    def __post_init__(self) -> None:
        if not (1 <= self.at_once <= 64 and 1 <= self.tries <= 20 and 0 < self.timeout <= 3600 and self.largest > 0):
            raise UsageError(
                "bad manners", expected="1 … 64 at once, 1 … 20 tries, a time-out up to an hour",
                got=f"{self.at_once} at once, {self.tries} tries, {self.timeout:g} s",
            )  # fmt: skip


@dataclass(frozen=True, slots=True)
class ApiPredictions:
    """What asking left."""

    predictions: Predictions
    n_asked: int
    n_saved: int
    """Answers that were there from before"""
    p50_ms: float | None
    p95_ms: float | None
    failed: Mapping[str, str] = field(default_factory=dict)
    """image → why there is no answer"""


class _Failed(Exception):
    """One image has no answer."""


def predict_api(
    dataset: Dataset,
    url: str,
    mapping: ApiMapping,
    answers: Path,
    *,
    manners: RequestPolicy | None = None,
    headers: Mapping[str, str] | None = None,
    allowed: Collection[str] = (),
    partial: bool = False,
    clock: Callable[[], float] = time.monotonic,
    wait_for: Callable[[float], object] | None = None,
    progress: Progress = silent,
) -> ApiPredictions:
    """Ask an API about every image of a dataset; answers are saved in the folder `answers`, and never asked for again.

    Args:
        dataset: its images are sent as they are on disk; boxes must come back in pixels of the image upright.
        url: where to post, without parameters.
        mapping: how to ask and how answers read.
        answers: folder of raw answers.
        manners: rate, questions at once, tries, time and size.
        headers: name → name of the environment variable that holds its value; never printed or stored.
        allowed: hosts that confidential data may go to.
        partial: images that got no answer are left out instead of stopping at the end.
        clock: seconds, for the pace.
        wait_for: waits so many seconds; None: until then, or until asking is stopped.
        progress: told how many images are answered.

    Raises:
        Refused: the data are confidential, or the API redirects.
        UsageError: address, header or mapping are off.
        DataError: an image is not there, or an answer is not as the mapping says.
        LiftgateError: the API is down, or images got no answer; the same call asks for those that are missing.
    """
    manners = manners or RequestPolicy()
    require_allowed_host(url, confidential=dataset.confidential, allowed=allowed, what=dataset.name)
    if gone := [image.id for image in dataset.images if not image.path.is_file()]:
        raise DataError("images that are not there cannot be shown", where=dataset.source, got=", ".join(gone[:3]))
    keys = _from_environment(headers or {})
    client = Client(url, mapping.send, keys, timeout=manners.timeout, largest=manners.largest)
    saved = AnswerCache(answers, {"url": url, "send": msgspec.to_builtins(mapping.send)})
    builder, stopped = PredictionsBuilder(dataset, hint=_CLASSES), threading.Event()
    asking = _Asking(
        client,
        saved,
        manners,
        RateLimiter(manners.rate, clock, wait_for or stopped.wait),
        stopped,
        tuple(keys.values()),
    )
    got: dict[int, Answer] = {}
    failed: dict[str, str] = {}
    fresh = in_a_row = 0
    total = len(dataset.images)
    with contextlib.closing(client), contextlib.closing(asking.all(dataset.images)) as coming:
        for place, answer in coming:
            image = dataset.images[place]
            if isinstance(answer, _Failed):
                failed[image.id], in_a_row = str(answer), in_a_row + 1
                if in_a_row >= _DOWN:
                    raise _no_answer(url, failed, len(got), total, "the API seems to be down")
                continue
            was_saved, one = answer
            fresh, in_a_row = fresh + (not was_saved), 0 if not was_saved else in_a_row
            # At once, not at the end: a mapping that does not fit should cost one question, not a thousand.
            _rehearse(dataset, place, one, saved, mapping)
            got[place] = one
            progress("asking", len(got), total)
    if failed and not (partial and got):
        raise _no_answer(url, failed, len(got), total, f"{len(failed)} images got no answer")
    for place in sorted(got):
        add_answer(builder, _where(saved, got[place]), place, got[place].answer, mapping)
    speed = _speed(list(got.values()), manners)
    settings = {"backend": "http", "model": {"url": url, "send": msgspec.to_builtins(mapping.send)}, "speed": speed}
    predictions = builder.build(settings, image_level=mapping.boxes is None)
    return ApiPredictions(predictions, fresh, len(got) - fresh, speed.get("p50_ms"), speed.get("p95_ms"), failed)


def predict_api_files(
    truth: Path | str,
    url: str,
    mapping: Path | str,
    out: Path | str,
    *,
    split: str | None = None,
    images: Path | str | None = None,
    confidential: bool = False,
    progress: Progress = silent,
    **options: Any,
) -> ApiPredictions:
    """Ask an API about a truth set and write COCO results to `out`, its answers beside in `<stem>.answers/`.

    `options` and errors are those of `ask`. What a card calls confidential stays it, whatever is said here.
    """
    out = Path(out)
    if out.suffix.lower() != ".json":
        raise UsageError("COCO results are a .json", where=out)
    dataset = read_truth(truth, split=split, images=images, progress=progress)
    dataset = replace(dataset, confidential=known_terms(dataset, DeclaredTerms(confidential=confidential)).confidential)
    answers = out.with_name(f"{out.stem}.answers")
    asked = predict_api(dataset, url, read_mapping(Path(mapping)), answers, progress=progress, **options)
    write_predictions(asked.predictions, dataset, out)
    return asked


class _Asking:
    """The loop over images and tries."""

    def __init__(
        self,
        client: Client,
        saved: AnswerCache,
        manners: RequestPolicy,
        pace: RateLimiter,
        stopped: threading.Event,
        secrets: Sequence[str],
    ) -> None:
        self._client, self._saved, self._manners, self._pace = client, saved, manners, pace
        self._secrets = [secret for secret in secrets if len(secret) >= 6]
        self._stopped = stopped

    def all(self, images: Sequence[Image]) -> Generator[tuple[int, tuple[bool, Answer] | _Failed], None, None]:
        """Yield place and answer (and whether it was saved before), or why there is none, as they come."""
        queue = iter(range(len(images)))
        with ThreadPoolExecutor(self._manners.at_once) as pool:
            running: dict[Future[tuple[bool, Answer]], int] = {}
            try:
                while True:
                    for place in islice(queue, self._manners.at_once - len(running)):
                        running[pool.submit(self._one, images[place])] = place
                    if not running:
                        return
                    for future in wait(running, return_when=FIRST_COMPLETED).done:
                        place = running.pop(future)
                        try:
                            yield place, future.result()
                        except _Failed as failed:
                            yield place, failed
            finally:
                self._stopped.set()  # questions in flight end, and are saved; none is asked again

    def _one(self, image: Image) -> tuple[bool, Answer]:
        try:
            content = image.path.read_bytes()
        except OSError as error:
            raise DataError("cannot read the image", where=image.path, got=error.strerror) from None
        digest = hashlib.sha256(content).hexdigest()
        if (before := self._saved.find(image.id, digest)) is not None:
            return True, before
        media = mimetypes.guess_type(image.path.name)[0] or "application/octet-stream"
        why = "stopped"
        for attempt in range(1, self._manners.tries + 1):
            self._pace.turn()
            if self._stopped.is_set():
                break
            seconds, value, why, rest = self._try(content, media)
            if not why:
                answer = Answer(image.id, digest, seconds, attempt, value)
                self._saved.keep(answer)
                return False, answer
            if attempt < self._manners.tries:
                self._pace.rest(min(_LONGEST_REST, rest if rest is not None else 2.0 ** (attempt - 1)))
        raise _Failed(f"{why} ({self._manners.tries} tries)")

    def _try(self, content: bytes, media: str) -> tuple[float, Any, str, float | None]:
        """Return seconds, the answer, why there is none that may come later, and how long to rest."""
        try:
            reply = self._client.post(content, media)
        except (OSError, HTTPException) as error:
            return 0.0, None, self._clean(f"{type(error).__name__}: {error}".rstrip(": ")), None
        body = self._clean(reply.body.decode("utf-8", "replace"))
        if reply.status in _AGAIN:
            return 0.0, None, f"HTTP {reply.status}", reply.retry_after
        if reply.status in _ABOUT_US:
            raise LiftgateError(
                "the API says no", got=f"HTTP {reply.status} {body[:200]}", hint=_ABOUT_US[reply.status]
            )
        if not 200 <= reply.status < 300:
            raise _Failed(f"HTTP {reply.status} {body[:200]}")
        try:
            return reply.seconds, msgspec.json.decode(body), "", None
        except (msgspec.DecodeError, RecursionError, UnicodeError):
            return 0.0, None, f"the answer is no JSON: {body[:80]!r}", None

    def _clean(self, text: str) -> str:
        """Some servers echo what they were sent; a key is not kept."""
        for secret in self._secrets:
            text = text.replace(secret, "…")
        return text


def _rehearse(dataset: Dataset, place: int, answer: Answer, saved: AnswerCache, mapping: ApiMapping) -> None:
    alone = replace(dataset, images=(dataset.images[place],), labels=Labels.build([], [], []))
    add_answer(PredictionsBuilder(alone, hint=_CLASSES), _where(saved, answer), 0, answer.answer, mapping)


def _where(saved: AnswerCache, answer: Answer) -> str:
    return f"{answer.image}, {saved.path(answer.image)}"


def _from_environment(headers: Mapping[str, str]) -> dict[str, str]:
    values: dict[str, str] = {}
    for name, variable in headers.items():
        if not re.fullmatch(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+", name):
            raise UsageError("not the name of a header", got=name)
        value = os.environ.get(variable)
        if not value:
            raise UsageError(f"{variable} is not set", where=f"header {name}", hint="export it, whole: 'Bearer …'")
        if not re.fullmatch(r"[\x20-\x7e]+", value):
            raise UsageError(f"{variable} holds what no header may", where=f"header {name}", hint="a line break?")
        values[name] = value
    return values


def _speed(answers: Sequence[Answer], manners: RequestPolicy) -> dict[str, Any]:
    if not answers:
        return {}
    p50, p95 = (round(1000 * float(q), 3) for q in np.quantile([one.seconds for one in answers], [0.5, 0.95]))
    retries = sum(one.attempts - 1 for one in answers)
    speed = {"p50_ms": p50, "p95_ms": p95, "n": len(answers), "retries": retries}
    return speed | {key: value for key, value in asdict(manners).items() if key in ("at_once", "rate")}


def _no_answer(url: str, failed: Mapping[str, str], answered: int, total: int, what: str) -> LiftgateError:
    image = list(failed)[-1]
    return LiftgateError(
        what, where=urlsplit(url).hostname, got=f"for {image!r}: {failed[image]}",
        hint=f"{answered} of {total} images are answered and saved; the same command asks for the others",
    )  # fmt: skip

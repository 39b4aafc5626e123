"""All images through one API: posted from several threads, within the policy, with retries and saved answers."""

from __future__ import annotations

import hashlib
import mimetypes
import threading
from collections.abc import Generator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from http.client import HTTPException
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec

from liftgate.data.core.dataset import Image
from liftgate.deploy.remote_predictions.answer_cache import Answer, AnswerCache
from liftgate.deploy.remote_predictions.client import ApiClient
from liftgate.deploy.remote_predictions.rate_limit import RateLimiter
from liftgate.deploy.remote_predictions.secret_mask import SecretMask
from liftgate.deploy.remote_predictions.sendable_images import NotAPicture, read_picture
from liftgate.documents import DocumentError, Limits, parse_json
from liftgate.errors import LiftgateError, UsageError

_RETRIED = frozenset({408, 425, 429, 500, 502, 503, 504})
_CALLER_ERRORS = {401: "is the key right?", 403: "is the key right?", 404: "is the address right?", 405: "is it POST?"}
_LONGEST_PAUSE = 300.0
_ANSWER_NODES = 2_000_000


@dataclass(frozen=True, slots=True)
class RequestPolicy:
    """How fast, how often and for how long requests are sent to an API."""

    rate: float | None = None
    """Requests per second at most; None: as fast as it answers"""
    at_once: int = 1
    """Requests in flight; with more than one, the time per image is that of a busy server"""
    tries: int = 5
    """For each image"""
    timeout: float = 30.0
    """Seconds until a complete answer must be there"""
    max_answer_bytes: int = 16 << 20

    def __post_init__(self) -> None:
        possible = 1 <= self.at_once <= 64 and 1 <= self.tries <= 20 and 0 < self.timeout <= 3600
        if not possible or self.max_answer_bytes <= 0:
            raise UsageError(
                "not a possible request policy", expected="1 … 64 at once, 1 … 20 tries, a timeout up to an hour",
                got=f"{self.at_once} at once, {self.tries} tries, {self.timeout:g} s",
            )  # fmt: skip


class NoAnswer(Exception):
    """One image has no answer."""

    def __init__(self, reason: str, *, sent: bool = True) -> None:
        super().__init__(reason)
        self.sent = sent


@dataclass(frozen=True, slots=True)
class ImageResult:
    """The outcome for one image."""

    image_index: int
    answer: Answer | None
    was_saved: bool = False
    failure: NoAnswer | None = None


class RequestQueue:
    """Posts images from several threads, each as often as the policy allows."""

    def __init__(
        self,
        client: ApiClient,
        cache: AnswerCache,
        policy: RequestPolicy,
        limiter: RateLimiter,
        stopped: threading.Event,
        mask: SecretMask,
        folders: Sequence[Path],
    ) -> None:
        self.cache = cache
        self._client, self._policy, self._limiter = client, policy, limiter
        self._stopped, self._mask, self._folders = stopped, mask, folders

    def run(self, images: Sequence[Image]) -> Generator[ImageResult, None, None]:
        """Yield the result for each image as it comes."""
        queue = iter(range(len(images)))
        with ThreadPoolExecutor(self._policy.at_once) as pool:
            running: dict[Future[tuple[bool, Answer]], int] = {}
            try:
                while True:
                    for index in islice(queue, self._policy.at_once - len(running)):
                        running[pool.submit(self._answer, images[index])] = index
                    if not running:
                        return
                    for future in wait(running, return_when=FIRST_COMPLETED).done:
                        index = running.pop(future)
                        try:
                            was_saved, answer = future.result()
                            yield ImageResult(index, answer, was_saved)
                        except NoAnswer as failed:
                            yield ImageResult(index, None, failure=failed)
            finally:
                self._stopped.set()  # requests in flight end and are saved; none starts

    def _answer(self, image: Image) -> tuple[bool, Answer]:
        """Return whether the answer was saved before, and the answer."""
        try:
            content = read_picture(image, self._folders)
        except NotAPicture as error:
            raise NoAnswer(f"not sent: {error}", sent=False) from None
        digest = hashlib.sha256(content).hexdigest()
        if (before := self.cache.find(image.id, digest)) is not None:
            return True, before
        media = mimetypes.guess_type(image.path.name)[0] or "application/octet-stream"
        reason = "stopped"
        for attempt in range(1, self._policy.tries + 1):
            self._limiter.wait_turn()
            if self._stopped.is_set():
                break
            seconds, value, reason, pause = self._post(content, media)
            if not reason:
                answer = Answer(image.id, digest, seconds, attempt, value)
                self.cache.save(answer)
                return False, answer
            if attempt < self._policy.tries:
                self._limiter.pause(min(_LONGEST_PAUSE, pause if pause is not None else 2.0 ** (attempt - 1)))
        raise NoAnswer(f"{reason} ({self._policy.tries} tries)")

    def _post(self, content: bytes, media: str) -> tuple[float, Any, str, float | None]:
        """Return seconds, the answer, why there is none although another try may succeed, and how long to pause."""
        try:
            reply = self._client.post(content, media)
        except (OSError, HTTPException) as error:
            return 0.0, None, self._mask.text(f"{type(error).__name__}: {error}".rstrip(": "))[:200], None
        if reply.status in _RETRIED:
            return 0.0, None, f"HTTP {reply.status}", reply.retry_after
        if not 200 <= reply.status < 300:
            got = f"HTTP {reply.status} {self._excerpt(reply.body)}"
            if reply.status in _CALLER_ERRORS:
                raise LiftgateError("the API refuses the request", got=got, hint=_CALLER_ERRORS[reply.status])
            raise NoAnswer(got)
        try:
            msgspec.json.decode(reply.body)  # which refuses NaN, and bytes that are no UTF-8
            value = parse_json(reply.body, Limits(self._policy.max_answer_bytes, nodes=_ANSWER_NODES))
            return reply.seconds, self._mask.value(value), "", None
        except (msgspec.DecodeError, DocumentError, RecursionError, UnicodeError):
            return 0.0, None, f"the answer is not JSON: {self._excerpt(reply.body)[:80]!r}", None

    def _excerpt(self, body: bytes) -> str:
        # Masked before it is cut: half of a key is still half of a key.
        return self._mask.text(body[:4096].decode("utf-8", "replace"))[:200]

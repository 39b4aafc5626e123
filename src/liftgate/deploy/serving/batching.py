"""A bounded queue, and the threads that decode and detect.

A free thread takes what waits, up to a batch, and never waits for more: alone, a request is not delayed. Models whose
batch is free run all images at once; others one after the other, still with one change of threads for all.
"""

from __future__ import annotations

import asyncio
import queue
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from liftgate.deploy.export.card import UseSettings
from liftgate.deploy.runtime.images import Pixels
from liftgate.deploy.runtime.suppression import Detections
from liftgate.deploy.serving.answers import Failure
from liftgate.deploy.serving.champion import ServedModel
from liftgate.deploy.serving.uploads import Upload, UploadError, decode


@dataclass(frozen=True, slots=True)
class Detected:
    """Detections in one image."""

    model: ServedModel
    use: UseSettings
    found: Detections
    width: int
    height: int
    brightness: float
    """Mean of all pixels, 0 to 255, of every 8th in both directions"""
    wait: float
    """Seconds in the queue"""
    decode: float
    """Seconds"""
    detect: float
    """Seconds, of the whole batch where it ran as one"""


@dataclass(frozen=True, slots=True)
class _Waiting:
    upload: Upload
    conf: float | None
    done: asyncio.Future[Detected]
    loop: asyncio.AbstractEventLoop
    since: float


@dataclass(frozen=True, slots=True)
class _Decoded:
    item: _Waiting
    pixels: Pixels
    use: UseSettings
    wait: float
    seconds: float


class Batcher:
    """Runs uploads through the model in use."""

    def __init__(
        self, current: Callable[[], ServedModel], *, batch: int, most_pixels: int, queue_length: int, workers: int = 1
    ) -> None:
        """Start the threads.

        Args:
            current: returns the model in use; read once for every batch.
            batch: most images in one run.
            most_pixels: of one image.
            queue_length: images that may wait.
            workers: batches that run side by side.
        """
        self._current, self._batch, self._most_pixels = current, batch, most_pixels
        self._waiting: queue.Queue[_Waiting | None] = queue.Queue(queue_length)
        self._threads = [threading.Thread(target=self._work, name=f"detect-{n}", daemon=True) for n in range(workers)]
        for thread in self._threads:
            thread.start()

    @property
    def waiting(self) -> int:
        """Return how many images wait."""
        return self._waiting.qsize()

    def submit(self, upload: Upload, conf: float | None) -> asyncio.Future[Detected] | None:
        """Queue an image and return the future of its detections; None: the queue is full.

        Args:
            upload: the image.
            conf: least confidence; None: the server's.
        """
        loop = asyncio.get_running_loop()
        item = _Waiting(upload, conf, loop.create_future(), loop, time.perf_counter())
        try:
            self._waiting.put_nowait(item)
        except queue.Full:
            return None
        return item.done

    def close(self) -> None:
        """Finish what waits and end the threads."""
        for _ in self._threads:
            self._waiting.put(None)
        for thread in self._threads:
            thread.join(timeout=30)

    def _work(self) -> None:
        while (first := self._waiting.get()) is not None:
            items = [first]
            while len(items) < self._batch:
                try:
                    more = self._waiting.get_nowait()
                except queue.Empty:
                    break
                if more is None:
                    self._waiting.put(None)  # the end, for the next turn
                    break
                items.append(more)
            live = [one for one in items if not one.done.cancelled()]
            try:
                self._run(live)
            except Exception as error:  # a thread that ends would leave every later request without an answer
                for one in live:
                    _fail(one, UploadError(500, Failure("a fault of the server", got=type(error).__name__)))

    def _run(self, items: Sequence[_Waiting]) -> None:
        served = self._current()
        for group in [items] if served.model.takes_batches else [[one] for one in items]:
            decoded = [one for item in group if (one := self._decoded(item, served)) is not None]
            if decoded:
                self._detect(decoded, served)

    def _detect(self, group: Sequence[_Decoded], served: ServedModel) -> None:
        begun = time.perf_counter()
        try:
            found = served.model.detect_together([one.pixels for one in group], [one.use for one in group])
        except Exception as error:  # of the runtime: whatever it is, these requests get an answer
            for one in group:
                _fail(one.item, UploadError(500, Failure("the model failed", got=type(error).__name__)))
            return
        seconds = time.perf_counter() - begun
        for one, detections in zip(group, found, strict=True):
            height, width = one.pixels.shape[:2]
            brightness = float(one.pixels[::8, ::8].mean())
            _resolve(
                one.item,
                Detected(served, one.use, detections, width, height, brightness, one.wait, one.seconds, seconds),
            )

    def _decoded(self, item: _Waiting, served: ServedModel) -> _Decoded | None:
        begun = time.perf_counter()
        try:
            pixels = decode(item.upload.content, self._most_pixels)
        except UploadError as error:
            _fail(item, error)
            return None
        use = served.use if item.conf is None else replace(served.use, conf=item.conf)
        now = time.perf_counter()
        return _Decoded(item, pixels, use, begun - item.since, now - begun)


def _resolve(item: _Waiting, result: Detected) -> None:
    item.loop.call_soon_threadsafe(lambda: None if item.done.done() else item.done.set_result(result))


def _fail(item: _Waiting, error: UploadError) -> None:
    item.loop.call_soon_threadsafe(lambda: None if item.done.done() else item.done.set_exception(error))

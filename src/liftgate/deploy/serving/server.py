"""Put a server together: the model, its queue, its counters and its log."""

from __future__ import annotations

import warnings

from PIL import Image

from liftgate.deploy.serving.answer_log import AnswerLog
from liftgate.deploy.serving.app import ModelServer
from liftgate.deploy.serving.batching import Batcher
from liftgate.deploy.serving.champion import ModelInUse, ModelSource, ServedModel
from liftgate.deploy.serving.json_lines import JsonLines
from liftgate.deploy.serving.log_keeper import LogSettings
from liftgate.deploy.serving.metrics import ServerMetrics
from liftgate.deploy.serving.settings import MOST_IMAGES, ServeAddress, ServeLimits


def open_server(
    source: ModelSource,
    address: ServeAddress,
    limits: ServeLimits,
    *,
    log: LogSettings | None = None,
    swap_seconds: float = 1.0,
) -> ModelServer:
    """Load the model and return a server that is ready for its first request.

    Args:
        source: where its model comes from.
        address: where it listens.
        limits: what it takes.
        log: where answers are kept; None: nowhere.
        swap_seconds: time between two looks whether another model is to be used.

    Raises:
        LiftgateError: the model cannot be used.
    """
    metrics, lines = ServerMetrics(), JsonLines()
    # Pillow warns of damaged EXIF and of large images; the size is checked here. A filter of the process, as one around
    # each image would not be safe between threads.
    warnings.filterwarnings("ignore", module="PIL")
    Image.preinit()  # else the first request waits for Pillow's plugins

    def note(model: ServedModel | None, problem: str) -> None:
        if model is None:
            metrics.swaps.labels("refused").inc()
            lines.write("swap refused", {"reason": problem})
            return
        metrics.swaps.labels("done").inc()
        metrics.use(model.version, model.model_hash)
        lines.write("swapped", {"model_version": model.version, "source": model.source})

    model = ModelInUse(source, note)
    metrics.use(model.current.version, model.current.model_hash)
    model.watch(swap_seconds)
    batcher = Batcher(
        lambda: model.current,
        batch=limits.batch,
        most_pixels=limits.pixels,
        queue_length=limits.queue + MOST_IMAGES,
    )
    kept = None
    if log is not None:
        kept = AnswerLog(
            log,
            lambda problem: lines.write("log problem", {"reason": problem}),
            lambda event, text: lines.write(event, {"text": text}),
        )
    return ModelServer(model, batcher, limits, address, metrics, lines, kept)

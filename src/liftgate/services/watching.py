"""The champion on cameras, files and folders."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from liftgate.errors import UsageError
from liftgate.progress import Progress, silent
from liftgate.services.serving import DEFAULT_REGISTRY, log_settings, model_source

if TYPE_CHECKING:
    from liftgate.deploy.serving.champion import ServedModel
    from liftgate.deploy.watching.counts import CameraStatus
    from liftgate.deploy.watching.watcher import WatchResult, WatchSettings

_SWAP_SECONDS = 1.0


def watch(
    sources: str | Path | Sequence[str | Path],
    log: str | Path,
    *,
    model: str | Path | None = None,
    registry: str | Path = DEFAULT_REGISTRY,
    export: str | None = None,
    conf: float = 0.25,
    iou: float | None = None,
    max_det: int | None = None,
    threads: int | None = None,
    settings: WatchSettings | None = None,
    keep_days: float | None = None,
    keep_gb: float | None = None,
    quality_rules: str | Path | None = None,
    on_event: Callable[[str, str], None] = lambda _event, _text: None,
    on_status: Callable[[Sequence[CameraStatus]], None] = lambda _status: None,
    progress: Progress = silent,
) -> WatchResult:
    """Detect in the frames of cameras, files and folders, and keep what is found in a production log.

    It ends when all files are read, or on SIGTERM or SIGINT; cameras and folders are watched until then. After a
    promotion or a rollback the new champion goes on, without a lost frame.

    Args:
        sources: addresses (rtsp, rtsps, http, https, tcp, udp), files and folders; `NAME=SOURCE` gives one a name.
        log: folder of the production log; no image is kept in it.
        model: a version of the registry, or an export; None: the champion.
        registry: folder of the registry.
        export: name of the export of a version; None: ONNX before OpenVINO, the highest precision.
        conf: least confidence.
        iou: limit of non-maximum suppression; None: the card's.
        max_det: most detections of a frame; None: the card's.
        threads: of one inference; None: the runtime's own choice.
        settings: frames a second, and how folders are followed.
        keep_days: rows older than so many days are deleted; None: none are.
        keep_gb: the oldest hours are deleted above so many thousand million bytes; None: none are.
        quality_rules: YAML that says what makes a frame red or yellow; None: docs/serving.md.
        on_event: called with an event and its text: swaps and problems.
        on_status: called every few seconds with all cameras.
        progress: called as the model is loaded.

    Raises:
        UsageError: the extra is not installed, no such source or model, or a value out of range.
        DataError: a file or folder is not there, or the model is not as it was registered.
        LedgerError: the registry's ledger was changed.
    """
    from liftgate.data.video_frames.library import pyav
    from liftgate.deploy.serving.champion import ModelInUse, Thresholds
    from liftgate.deploy.serving.log_keeper import LogKeeper
    from liftgate.deploy.watching.sources import parse_sources
    from liftgate.deploy.watching.watcher import Watcher, WatchSettings

    pyav()  # its absence is one error, not a problem of every camera
    settings = settings or WatchSettings()
    _require_possible(settings)
    names = [sources] if isinstance(sources, str | Path) else list(sources)
    watched = parse_sources([str(one) for one in names])
    kept = log_settings(log, keep_days, keep_gb, quality_rules)
    assert kept is not None

    def note(served: ServedModel | None, problem: str) -> None:
        on_event("swap refused" if served is None else "swapped", problem if served is None else served.version)

    progress("loading the model", 0, 1)
    source = model_source(model, Path(registry), export, Thresholds(conf, iou, max_det), threads)
    in_use = ModelInUse(source, note)
    progress("loading the model", 1, 1)
    in_use.watch(_SWAP_SECONDS)
    try:
        keeper = LogKeeper(kept, lambda problem: on_event("log problem", problem))
        watcher = Watcher(
            watched, in_use, keeper, settings,
            on_problem=lambda problem: on_event("problem", problem), on_status=on_status,
        )  # fmt: skip
        with _stopped_by_signals(watcher.stop):
            on_event("watching", f"{len(watched)} sources with {in_use.current.version}")
            return watcher.run()
    finally:
        in_use.close()


@contextmanager
def _stopped_by_signals(stop: Callable[[], None]) -> Iterator[None]:
    """Let SIGTERM and SIGINT end the watch in order; in another thread than the main one, signals are left alone."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, lambda *_: stop()) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _require_possible(settings: WatchSettings) -> None:
    for name, value, least, most in (
        ("fps", settings.fps, 0.01, 60.0), ("settle", settings.settle, 0.0, 86400.0),
        ("status_seconds", settings.status_seconds, 0.1, 86400.0),
    ):  # fmt: skip
        if not least <= value <= most:
            raise UsageError(f"{name} is out of range", expected=f"{least:g} to {most:g}", got=value)

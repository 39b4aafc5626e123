"""Shadow tests: start one beside a running server, look at it at any time, stop it, report it."""

from __future__ import annotations

import shutil
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from liftgate.data.core.predictions import Predictions
from liftgate.data.formats.coco import write_predictions
from liftgate.data.production_log.log_rows import is_production_log
from liftgate.data.production_log.records import LoggedBox
from liftgate.data.sampling.frames import unlabelled_dataset
from liftgate.deploy.registry.store import Registry
from liftgate.deploy.serving.champion import RegistrySource, Thresholds
from liftgate.deploy.shadow.frames import frame_name
from liftgate.deploy.shadow.pairs import Pair, read_disagreements, read_minutes
from liftgate.deploy.shadow.report import write_report
from liftgate.deploy.shadow.request import (
    FRAMES,
    STOP,
    ShadowRequest,
    ShadowTest,
    create_test,
    newest_test,
)
from liftgate.deploy.shadow.settle import ShadowFinding, find
from liftgate.errors import DataError, UsageError
from liftgate.files import atomic_folder, write_text

DEFAULT_REGISTRY = "models"


@dataclass(frozen=True, slots=True)
class ShadowResult:
    """A shadow test and what it says by now."""

    test: ShadowTest
    finding: ShadowFinding

    @property
    def sentences(self) -> tuple[str, ...]:
        """What it says, and what it does not."""
        state = self.test.state
        how = f"{self.test.request.challenger}: {state.status}{f', {state.reason}' if state.reason else ''}"
        load = f"{state.offered:,} requests, {state.shed:,} shed"
        return (f"{how}; {load}", self.finding.at_times, self.finding.on_average, self.finding.advice)


def shadow_start(
    version: str,
    log: str | Path,
    *,
    registry: str | Path = DEFAULT_REGISTRY,
    export: str | None = None,
    hours: float = 24.0,
    alpha: float = 0.05,
    keep_frames_days: float = 14.0,
    warm_up_minutes: int = 720,
    least_block_minutes: int = 15,
    most_memory_mb: int = 4096,
    niceness: int = 19,
) -> ShadowTest:
    """Let a version see the requests of the server that writes a log, beside its champion; once, also if called again.

    Args:
        version: the challenger.
        log: folder of the server's production log.
        registry: folder of the registry.
        export: of the version; None: as `serve` chooses.
        hours: how long, at most.
        alpha: probability of "different" that is accepted where they are equal on average.
        keep_frames_days: frames with a disagreement are kept so long; 0: none is.
        warm_up_minutes: at the start, to measure how long a scene stays the same; at most half of the time.
        least_block_minutes: length of a block, where the scene asks for no longer one.
        most_memory_mb: of the challenger's process; above, the test ends.
        niceness: of the challenger's process; 19 is the lowest priority, 0 that of the server.

    Raises:
        UsageError: no such version or log, a value that is not possible, or another test is at work.
        DataError: the version is not as it was registered.
    """
    folder = Path(log)
    if not is_production_log(folder):
        hint = "`liftgate serve --log FOLDER` writes one, and takes up the tests in it"
        raise UsageError("there is no production log", where=folder, hint=hint)
    for name, value, possible in (
        ("hours", hours, 0 < hours <= 24 * 366),
        ("alpha", alpha, 0 < alpha < 1),
        ("keep_frames_days", keep_frames_days, 0 <= keep_frames_days <= 3660),
        ("warm_up_minutes", warm_up_minutes, warm_up_minutes > 0),
        ("least_block_minutes", least_block_minutes, least_block_minutes > 0),
        ("most_memory_mb", most_memory_mb, most_memory_mb > 0),
        ("niceness", niceness, 0 <= niceness <= 19),
    ):
        if not possible:
            raise UsageError(f"{name} is out of range", got=value)
    store = Registry(Path(registry))
    store.require_exists()
    found = store.open(version)
    if found.is_champion:
        raise UsageError("the champion is no challenger of itself", where=store.folder, got=found.version)
    RegistrySource(store, Thresholds(), found.version, export, threads=1).load()  # refused here rather than there
    request = ShadowRequest(
        challenger=found.version,
        registry=str(store.folder),
        started=time.time(),
        hours=hours,
        alpha=alpha,
        export=export,
        keep_frames_days=keep_frames_days,
        warm_up_minutes=warm_up_minutes,
        least_block_minutes=least_block_minutes,
        most_memory_mb=most_memory_mb,
        niceness=niceness,
    )
    return create_test(folder, request)


def shadow_status(log: str | Path) -> ShadowResult:
    """Return what the newest shadow test of a log says by now; looking changes nothing.

    Args:
        log: folder of the production log.

    Raises:
        UsageError: there is none.
        DataError: it cannot be read.
    """
    test = newest_test(Path(log))
    return ShadowResult(test, find(read_minutes(test.folder), test.request, is_over=test.has_run_out))


def shadow_stop(log: str | Path) -> ShadowTest:
    """End the newest shadow test of a log.

    Args:
        log: folder of the production log.

    Raises:
        UsageError: there is none, or it is over.
    """
    test = newest_test(Path(log))
    if test.is_over:
        raise UsageError("the shadow test is over", where=test.folder, got=test.state.status)
    write_text(test.folder / STOP, "stopped by `liftgate shadow stop`\n")
    return test


def shadow_report(log: str | Path, out: str | Path) -> ShadowResult:
    """Write the page of the newest shadow test, and what `judge` needs to say which model is right.

    Args:
        log: folder of the production log.
        out: a new folder for report.html, and, where frames were kept, frames/, champion.json and challenger.json.

    Raises:
        UsageError: there is no test, or the folder holds something.
        DataError: it cannot be read.
    """
    folder = Path(out)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError("the folder of the report holds something", where=folder, hint="name a new one")
    result = shadow_status(log)
    test = result.test
    minutes, pairs = read_minutes(test.folder), read_disagreements(test.folder)
    with atomic_folder(folder) as part:
        part.chmod(0o700)  # it holds production frames
        write_report(test, result.finding, minutes, pairs, part / "report.html")
        kept = {pair.frame: pair for pair in pairs if pair.frame and (test.folder / FRAMES / pair.frame).is_file()}
        if kept:
            (part / "frames").mkdir()
            for name in kept:
                copy = Path(shutil.copyfile(test.folder / FRAMES / name, part / "frames" / name))
                if frame_name(copy.read_bytes()) != name:
                    hint = "delete it: its image is then left out"
                    raise DataError("a kept frame is damaged", where=test.folder / FRAMES / name, hint=hint)
            _write_results(kept, part)
    return result


def _write_results(kept: dict[str, Pair], folder: Path) -> None:
    """Write both models' detections on the kept frames, as COCO results."""
    dataset = unlabelled_dataset(folder / "frames")
    names = [Path(image.path).name for image in dataset.images]
    pairs = [kept[name] for name in names]
    classes = tuple(sorted({one.cls for pair in pairs for one in (*pair.champion, *pair.challenger)}))
    dataset = replace(dataset, classes=classes, category_ids=())
    sides = {"champion": [pair.champion for pair in pairs], "challenger": [pair.challenger for pair in pairs]}
    for side, found in sides.items():
        predictions = _predictions(tuple(image.id for image in dataset.images), classes, found)
        write_predictions(predictions, dataset, folder / f"{side}.json")


def _predictions(images: tuple[str, ...], classes: tuple[str, ...], found: list[tuple[LoggedBox, ...]]) -> Predictions:
    rows = [(index, box) for index, boxes in enumerate(found) for box in boxes]
    return Predictions(
        images=images,
        classes=classes,
        image=np.array([index for index, _ in rows], dtype=np.int64),
        cls=np.array([classes.index(box.cls) for _, box in rows], dtype=np.int64),
        boxes=np.array([box.box for _, box in rows], dtype=np.float64).reshape(-1, 4),
        scores=np.array([box.confidence for _, box in rows], dtype=np.float64),
        settings={"source": "shadow test"},
    )

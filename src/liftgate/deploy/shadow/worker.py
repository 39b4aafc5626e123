"""The challenger of a shadow test, in a process of its own: `python -m liftgate.deploy.shadow.worker FOLDER`.

Frames come on stdin, each as four bytes of length and a `ShadowFrame`; one line goes back for each. It runs at the
lowest priority, so that the champion's process is served first.
"""

from __future__ import annotations

import os
import sqlite3
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

from liftgate.data.production_log.records import LoggedBox
from liftgate.deploy.registry.store import Registry
from liftgate.deploy.serving.champion import RegistrySource, ServedModel, Thresholds
from liftgate.deploy.serving.uploads import UploadError, decode
from liftgate.deploy.shadow.frames import READY, SETTLED, ShadowFrame, frame_name, read_frames, seen_line
from liftgate.deploy.shadow.pairs import Pair, PairStore, match, read_minutes
from liftgate.deploy.shadow.request import FRAMES, ShadowTest, read_test
from liftgate.deploy.shadow.settle import find
from liftgate.errors import LiftgateError, with_full_disk_hint
from liftgate.files import write_bytes

_LOOK_SECONDS = 60.0
_MOST_FRAMES = 5000
_MOST_PIXELS = 1 << 28


def run(folder: Path, frames: BinaryIO, answers: BinaryIO) -> None:
    """Detect in all frames with the challenger and store the pairs.

    Args:
        folder: of the test.
        frames: from the server.
        answers: to the server.

    Raises:
        LiftgateError: the challenger cannot be used.
    """
    test = read_test(folder)
    request = test.request
    source = RegistrySource(
        Registry(Path(request.registry)), Thresholds(), request.challenger, request.export, threads=1
    )
    challenger = source.load()
    store = PairStore(folder)
    answers.write(READY)
    answers.flush()
    looked = time.monotonic()
    for frame in read_frames(frames):
        answers.write(seen_line(_compare(test, challenger, store, frame)))
        if time.monotonic() - looked >= _LOOK_SECONDS:
            looked = time.monotonic()
            prune_frames(folder / FRAMES, request.keep_frames_days, time.time())
            if find(read_minutes(folder), request).answer == "different":
                answers.write(SETTLED)
        answers.flush()
    store.close()


def prune_frames(folder: Path, days: float, now: float) -> int:
    """Delete kept frames that are older than so many days, and the oldest above 5,000; return how many went.

    Args:
        folder: of the frames.
        days: how long one is kept.
        now: seconds since 1970.
    """
    if not folder.is_dir():
        return 0
    found = sorted((one.stat().st_mtime, one) for one in folder.iterdir())
    old = [path for changed, path in found if changed < now - days * 86400]
    more = [path for _, path in found[len(old) :]][: max(len(found) - len(old) - _MOST_FRAMES, 0)]
    for path in (*old, *more):
        path.unlink(missing_ok=True)
    return len(old) + len(more)


def _compare(test: ShadowTest, challenger: ServedModel, store: PairStore, frame: ShadowFrame) -> int:
    """Store what both found in a frame, and return how many objects only one of them reports."""
    try:
        pixels = decode(frame.content, _MOST_PIXELS)
    except UploadError:
        return 0  # the champion's server read it: another limit, and nothing to compare
    found = challenger.model.detect(pixels, replace(challenger.use, conf=frame.threshold))
    names = challenger.model.card.output.classes
    boxes = tuple(
        LoggedBox(names[cls], round(score, 5), (box[0], box[1], box[2], box[3]))
        for box, score, cls in zip(
            found.boxes.round(2).tolist(), found.scores.tolist(), found.cls.tolist(), strict=True
        )
    )
    counts = match(frame.boxes, boxes)
    kept, disagreements = "", counts.champion_only + counts.challenger_only
    if disagreements and test.request.keep_frames_days > 0:
        kept = _keep(test.folder / FRAMES, frame.content)
    store.add(
        Pair(
            frame.elapsed, frame.time, frame.camera, frame.image, frame.champion_version, counts, frame.brightness,
            pixels.shape[1], pixels.shape[0], kept, frame.boxes, boxes,
        )
    )  # fmt: skip
    return disagreements


def _keep(folder: Path, content: bytes) -> str:
    folder.mkdir(mode=0o700, exist_ok=True)
    name = frame_name(content)
    if not (folder / name).exists():
        write_bytes(folder / name, content)
    return name


if __name__ == "__main__":
    try:
        os.nice(read_test(Path(sys.argv[1])).request.niceness)
        run(Path(sys.argv[1]), sys.stdin.buffer, sys.stdout.buffer)
    except LiftgateError as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201
        sys.exit(error.exit_code)
    except (OSError, sqlite3.Error) as error:
        print(f"error: {with_full_disk_hint(error)}", file=sys.stderr)  # noqa: T201
        sys.exit(1)

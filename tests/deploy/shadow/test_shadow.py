"""A challenger beside a running server: real processes, real requests."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("onnx")
pytest.importorskip("starlette")
pytest.importorskip("onnxruntime")

import liftgate
from deploy.colours import write_detector, write_images
from deploy.serving.running import RunningServer, running
from liftgate.cli import main
from liftgate.data.production_log.log_rows import read_log
from liftgate.data.production_log.records import LoggedBox
from liftgate.deploy.shadow.feeder import FeederLimits, ShadowFeeder
from liftgate.deploy.shadow.frames import ShadowFrame
from liftgate.deploy.shadow.pairs import PAIRS, Counts, match
from liftgate.deploy.shadow.request import REQUEST, STATE, ShadowRequest, create_test, read_test
from liftgate.deploy.shadow.worker import prune_frames
from liftgate.errors import DataError, UsageError
from liftgate.locks import FolderLock


def box(cls: str, *sides: float) -> LoggedBox:
    return LoggedBox(cls, 0.9, (sides[0], sides[1], sides[2], sides[3]))


def test_detections_are_matched_by_class_and_place_one_to_one() -> None:
    a = [box("cone", 0, 0, 10, 10), box("cone", 20, 20, 30, 30), box("car", 50, 50, 60, 60)]
    b = [box("cone", 1, 0, 11, 10), box("cone", 0, 0, 10, 10), box("bus", 50, 50, 60, 60)]
    assert match(a, b) == Counts(agreed=1, champion_only=2, challenger_only=2)
    assert match(a, a) == Counts(3, 0, 0)
    assert match([], b) == Counts(0, 0, 3) and match(a, []) == Counts(0, 3, 0)


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("images")
    write_images(folder, 6)
    return sorted((folder / "images" / "test").iterdir())


@pytest.fixture
def registry(tmp_path: Path) -> Path:
    """v0 is the champion, v0.1 finds the same, v0.2 takes red for green."""
    folder = tmp_path / "models"
    for number, order in enumerate([(0, 1, 2), (0, 1, 2), (1, 0, 2)]):
        liftgate.add_model(
            write_detector(tmp_path / f"detector{number}.onnx", order=order, shift=0.001 * number), registry=folder
        )
    liftgate.promote("v0", registry=folder, override="a test")
    return folder


def wait_for(what: Callable[[], bool], seconds: float = 150) -> None:
    limit = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < limit, "it did not happen in time"
        time.sleep(0.1)


def ask_until(server: RunningServer, images: list[Path], done: Callable[[], bool], seconds: float = 150) -> int:
    limit, asked = time.monotonic() + seconds, 0
    while not done():
        assert time.monotonic() < limit, "it did not happen in time"
        path = images[asked % len(images)]
        reply = server.predict(path.read_bytes(), f"?camera=gate&image_id={path.name}")
        assert reply.status == 200 and reply.json["model_version"] == "v0"
        asked += 1
    return asked


def test_a_challenger_is_compared_reported_and_judged(registry: Path, images: list[Path], tmp_path: Path) -> None:
    log = tmp_path / "log"
    with running("--registry", registry, "--log", log) as server:
        test = liftgate.shadow_start("v0.2", log, registry=registry, niceness=0)
        with pytest.raises(UsageError, match="at work"):
            liftgate.shadow_start("v0.1", log, registry=registry, niceness=0)
        ask_until(server, images, lambda: any(test.folder.joinpath("frames").glob("*.png")))
        ask_until(server, images, lambda: len(list(test.folder.joinpath("frames").glob("*.png"))) >= 5)
        wait_for(lambda: any("disagreement" in one.reasons for one in read_log(log)))
        flagged = [one for one in read_log(log) if "disagreement" in one.reasons]
        assert {one.quality for one in flagged} == {"yellow"} and {one.camera for one in flagged} == {"gate"}
        wait_for(lambda: liftgate.shadow_status(log).test.state.offered > 0)
        result = liftgate.shadow_status(log)
        assert (result.test.state.status, result.finding.answer) == ("running", "warming up")
        liftgate.shadow_stop(log)
        wait_for(lambda: liftgate.shadow_status(log).test.state.status == "stopped")
        assert [one["event"] for one in server.lines if "shadow" in one["event"]] == ["shadow started", "shadow over"]
        assert server.stop() == 0
    assert (test.folder.stat().st_mode & 0o777) == 0o700, "frames of production are nobody else's"
    out = tmp_path / "report"
    assert main(["shadow", "report", "--log", str(log), "--out", str(out)]) == 0
    page = (out / "report.html").read_text()
    assert "v0.2" in page and page.count("data:image/jpeg") >= 5 and "which of them is better is not known" in page
    frames = str(out / "frames")
    pair = [str(out / "champion.json"), str(out / "challenger.json")]
    assert main(["judge", *pair, "--images", frames, "--out", str(out / "judging"), "--budget", "20"]) == 0
    assert (out / "judging" / "judge.html").is_file()
    assert main(["shadow", "report", "--log", str(log), "--out", str(out)]) == 2, "nothing is written over"


def test_models_that_find_the_same_have_no_disagreement(registry: Path, images: list[Path], tmp_path: Path) -> None:
    log = tmp_path / "log"
    with running("--registry", registry, "--log", log) as server:
        test = liftgate.shadow_start("v0.1", log, registry=registry, niceness=0)
        ask_until(server, images, lambda: (test.folder / "pairs.sqlite-wal").exists() and seen(log) >= 20)
        finding = liftgate.shadow_status(log).finding
        assert finding.rate is None and not (test.folder / "frames").exists()
        assert not any("disagreement" in one.reasons for one in read_log(log))


def seen(log: Path) -> int:
    from liftgate.deploy.shadow.pairs import read_minutes
    from liftgate.deploy.shadow.request import newest_test

    return sum(int(one.images.sum()) for one in read_minutes(newest_test(log).folder))


@pytest.mark.parametrize("way", ["crash", "hang"])
def test_a_challenger_that_crashes_or_hangs_does_not_touch_the_champion(
    registry: Path, images: list[Path], tmp_path: Path, way: str
) -> None:
    log = tmp_path / "log"
    with running("--registry", registry, "--log", log) as server:
        test = liftgate.shadow_start("v0.2", log, registry=registry, niceness=0)
        ask_until(server, images, lambda: seen(log) >= 3)
        worker = child_of(server.process.pid)
        os.kill(worker, signal.SIGKILL if way == "crash" else signal.SIGSTOP)
        if way == "crash":
            ask_until(server, images, lambda: liftgate.shadow_status(log).test.state.status == "crashed")
            assert "exit code -9" in liftgate.shadow_status(log).test.state.reason
        else:  # its queue is full: requests are answered, and what is shed is counted
            shed = liftgate.shadow_status(log).test.state.shed
            ask_until(server, images, lambda: liftgate.shadow_status(log).test.state.shed > shed + 20)
            with contextlib.suppress(ProcessLookupError):  # the server ends a worker that hangs, perhaps already
                os.kill(worker, signal.SIGKILL)
        assert test.folder.is_dir()


def frame_of(path: Path, number: int) -> ShadowFrame:
    return ShadowFrame(float(number), time.time(), "gate", path.name, path.read_bytes(), "v0", 0.25, 100.0, ())


NEVER = 10**9


@pytest.mark.parametrize(
    ("status", "limits", "memory", "reason"),
    [
        ("hung", FeederLimits(look_seconds=0.05, hang_seconds=1.0, recent=NEVER), 4096, "no answer for"),
        ("too slow", FeederLimits(look_seconds=0.05, hang_seconds=NEVER, recent=20), 4096, "of the last 2"),
        ("too large", FeederLimits(look_seconds=0.05, recent=NEVER), 1, "MB of memory, at most 1"),
        ("hung", FeederLimits(look_seconds=0.05, start_seconds=0.05), 4096, "not ready after"),
    ],
    ids=["hung", "too slow", "too large", "never ready"],
)
def test_a_challenger_that_misbehaves_is_ended_with_the_reason(
    registry: Path, images: list[Path], tmp_path: Path, status: str, limits: FeederLimits, memory: int, reason: str
) -> None:
    log = tmp_path / "log"
    request = ShadowRequest("v0.1", str(registry), time.time(), most_memory_mb=memory, niceness=0)
    test = create_test(log, request)
    events: list[tuple[str, str]] = []
    feeder = ShadowFeeder(log, lambda event, text: events.append((event, text)), limits=limits)
    try:
        wait_for(lambda: bool(events))
        stopped = status == "too large" or reason == "not ready after"
        sent = 0
        limit = time.monotonic() + 150
        while not read_test(test.folder).is_over:
            assert time.monotonic() < limit, read_test(test.folder).state
            feeder.offer(frame_of(images[sent % len(images)], sent))
            sent += 1
            if not stopped and seen(log) >= 3:
                stopped = True
                os.kill(child_of(os.getpid()), signal.SIGSTOP)  # alive, and answers nothing
            time.sleep(0.01)
        state = read_test(test.folder).state
        assert (state.status, reason in state.reason) == (status, True), state
        wait_for(lambda: events[-1][0] == "shadow over")
        assert status in events[-1][1]
        wait_for(lambda: feeder.elapsed is None)
        assert state.offered >= state.shed
        wait_for(lambda: not children_of(os.getpid()))  # nothing of it is left
    finally:
        feeder.close()


def test_a_test_that_cannot_be_started_is_over_and_later_ones_are_taken_up(tmp_path: Path) -> None:
    events: list[tuple[str, str]] = []
    feeder = ShadowFeeder(
        tmp_path, lambda event, text: events.append((event, text)), limits=FeederLimits(look_seconds=0.05)
    )
    try:
        for number in range(2):
            place = tmp_path / "aside"
            test = create_test(place, ShadowRequest("v0.1", "models", time.time() + number))
            (test.folder / PAIRS).write_bytes(b"nothing of the kind, and longer than a header would be" * 20)
            (tmp_path / "shadow").mkdir(exist_ok=True)
            folder = test.folder.rename(tmp_path / "shadow" / test.folder.name)
            wait_for(lambda at=folder: read_test(at).state.status == "crashed", 60)  # type: ignore[misc]
            assert "the pairs of the shadow test cannot be read" in read_test(folder).state.reason
            wait_for(lambda n=number: len(events) > n, 60)  # type: ignore[misc]
            lock = FolderLock(folder / "server.lock")
            wait_for(lambda lock=lock: lock.acquire() is not None)  # type: ignore[misc]
        assert {event for event, _ in events} == {"shadow over"}
    finally:
        feeder.close()


@pytest.mark.parametrize("days", [2.0, -2.0], ids=["forward", "back"])
def test_a_clock_that_jumps_neither_ends_a_test_nor_moves_its_minutes(
    registry: Path, images: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, days: float
) -> None:
    log, events, right = tmp_path / "log", list[str](), time.time
    test = create_test(log, ShadowRequest("v0.1", str(registry), right(), niceness=0))
    feeder = ShadowFeeder(log, lambda event, text: events.append(event), limits=FeederLimits(look_seconds=0.05))
    try:
        wait_for(lambda: bool(events))
        monkeypatch.setattr(time, "time", lambda: right() + days * 86400)
        before, sent = feeder.elapsed, 0
        limit = time.monotonic() + 150
        while seen(log) < 3:
            assert time.monotonic() < limit
            feeder.offer(frame_of(images[sent % len(images)], sent))
            sent += 1
            time.sleep(0.05)
        assert not read_test(test.folder).is_over and events == ["shadow started"]
        assert before is not None and feeder.elapsed is not None and 0 <= feeder.elapsed - before < 200
    finally:
        feeder.close()


def child_of(pid: int) -> int:
    (child,) = children_of(pid)
    return child


def children_of(pid: int) -> list[int]:
    found = []
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):  # a thread or a child ended while it was looked at
            tasks = children.read_text().split()
            found += [int(task) for task in tasks if b"shadow.worker" in Path(f"/proc/{task}/cmdline").read_bytes()]
    return found


def test_a_test_goes_on_when_the_server_is_started_again(registry: Path, images: list[Path], tmp_path: Path) -> None:
    log = tmp_path / "log"
    with running("--registry", registry, "--log", log) as server:
        liftgate.shadow_start("v0.1", log, registry=registry, niceness=0)
        ask_until(server, images, lambda: seen(log) >= 3)
        assert server.stop() == 0
    before = seen(log)
    assert liftgate.shadow_status(log).test.state.status == "waiting"
    with running("--registry", registry, "--log", log) as server:
        ask_until(server, images, lambda: seen(log) > before)


def test_what_cannot_be_shadowed_is_one_error(registry: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no production log"):
        liftgate.shadow_start("v0.1", tmp_path / "nowhere", registry=registry)
    log = tmp_path / "log"
    with running("--registry", registry, "--log", log) as server:
        server.stop()
    with pytest.raises(UsageError, match="no challenger of itself"):
        liftgate.shadow_start("v0", log, registry=registry)
    with pytest.raises(UsageError, match="no such version"):
        liftgate.shadow_start("v7", log, registry=registry)
    with pytest.raises(UsageError, match="hours is out of range"):
        liftgate.shadow_start("v0.1", log, registry=registry, hours=0)
    with pytest.raises(UsageError, match="there is no shadow test"):
        liftgate.shadow_status(log)
    (weights,) = (registry / "v0.1").glob("*.onnx")
    shutil.copy(weights, tmp_path / "kept")
    weights.write_bytes(b"changed")
    with pytest.raises(DataError, match="not as it was registered"):
        liftgate.shadow_start("v0.1", log, registry=registry)
    shutil.copy(tmp_path / "kept", weights)
    test = liftgate.shadow_start("v0.1", log, registry=registry)
    (test.folder / STATE).write_text("{")
    with pytest.raises(DataError, match="cannot be read"):
        liftgate.shadow_status(log)
    assert json.loads((test.folder / REQUEST).read_text())["challenger"] == "v0.1"


def test_frames_are_deleted_by_age(tmp_path: Path) -> None:
    for number in range(4):
        path = tmp_path / f"{number}.png"
        path.write_bytes(b"x")
        os.utime(path, (1e9 + number * 86400, 1e9 + number * 86400))
    assert prune_frames(tmp_path, days=2, now=1e9 + 3.5 * 86400) == 2
    assert sorted(one.name for one in tmp_path.iterdir()) == ["2.png", "3.png"]
    assert prune_frames(tmp_path / "nowhere", 1, 0) == 0

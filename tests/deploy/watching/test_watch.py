"""The champion on real videos, growing folders and real streams."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import pty
import re
import select
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("av", reason="needs the `frames` extra")
pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

import liftgate
from data.video_frames.rtsp import camera
from deploy.serving.running import registry_of
from deploy.watching.scenes import http_files, scene, stalling_camera, tcp_camera, udp_camera, write_scenes
from liftgate.cli import main
from liftgate.data.production_log.compaction import Retention
from liftgate.data.production_log.log_rows import read_log
from liftgate.data.production_log.quality import QualityRules
from liftgate.data.production_log.records import LoggedImage
from liftgate.deploy.registry.store import Registry
from liftgate.deploy.serving.champion import ModelInUse, RegistrySource, Thresholds
from liftgate.deploy.serving.log_keeper import LogKeeper, LogSettings
from liftgate.deploy.watching.sources import parse_sources
from liftgate.deploy.watching.watcher import Watcher, WatchResult, WatchSettings

ONCE = WatchSettings(follow=False, settle=0.0)
FOLLOW = WatchSettings(settle=0.2, status_seconds=0.2)
LONG = 120


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return registry_of(tmp_path_factory.mktemp("registry"), 2)


def rows(log: Path) -> list[LoggedImage]:
    return list(read_log(log)) if (log / "live.sqlite").exists() else []


def wait_for(what: Callable[[], bool]) -> None:
    limit = time.monotonic() + LONG
    while not what():
        assert time.monotonic() < limit, "it did not happen in time"
        time.sleep(0.05)


class Watching:
    """A watch in a thread."""

    def __init__(
        self,
        texts: list[str],
        log: Path,
        registry: Path,
        settings: WatchSettings = FOLLOW,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.problems: list[str] = []
        self.states: list[str] = []
        self._model = ModelInUse(RegistrySource(Registry(registry), Thresholds()), lambda *_: None)
        self._model.watch(0.1)
        keeper = LogKeeper(LogSettings(log, Retention(None, None), QualityRules()), self.problems.append)
        self._watcher = Watcher(
            parse_sources(texts),
            self._model,
            keeper,
            settings,
            now=now,
            on_problem=self.problems.append,
            on_status=lambda found: self.states.extend(one.state for one in found),
        )
        self.result: WatchResult | None = None

    def __enter__(self) -> Watching:
        def run() -> None:
            self.result = self._watcher.run()

        self.thread = threading.Thread(target=run)
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._watcher.stop()
        self.thread.join(LONG)
        self._model.close()

    @property
    def done(self) -> WatchResult:
        assert self.result is not None
        return self.result


def test_a_video_is_seen_as_often_a_second_as_asked_and_nothing_of_it_is_dropped(
    registry: Path, tmp_path: Path
) -> None:
    write_scenes(tmp_path / "cam1_20260114-083000.mp4", 40)
    result = liftgate.watch(tmp_path / "cam1_20260114-083000.mp4", tmp_path / "log", registry=registry, settings=ONCE)
    found = rows(tmp_path / "log")
    assert result.logged == len(found) == 16 and result.cameras[0].dropped == 0 and result.failed == ()
    assert [one.image for one in found][:3] == [
        f"cam1_20260114-083000_{milliseconds:08d}ms.jpg" for milliseconds in (0, 200, 500)
    ], "named as `data frames` names them"
    assert {(one.camera, one.model_version, one.width) for one in found} == {("cam1_20260114-083000", "v0", 128)}
    model = ModelInUse(RegistrySource(Registry(registry), Thresholds()), lambda *_: None).current
    expected = model.model.detect(scene(0), model.use)
    assert sorted(one.cls for one in found[0].detections) == ["blue", "green", "red"] and len(expected.cls) == 3
    boxes = np.array([one.box for one in sorted(found[0].detections, key=lambda one: one.box[1])])
    assert np.abs(boxes - expected.boxes[np.argsort(expected.boxes[:, 1])]).max() <= 0.01


def test_a_folder_is_read_once_and_what_cannot_be_read_is_named(
    registry: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "videos"
    folder.mkdir()
    write_scenes(folder / "good.mp4", 10)
    (folder / "empty.mp4").write_bytes(b"")
    (folder / "text.mkv").write_text("this is no video")
    (folder / "cut.mp4").write_bytes((folder / "good.mp4").read_bytes()[:400])
    (folder / "half.jpg").write_bytes(b"\xff\xd8\xff half an image")
    words = ["watch", str(folder), "--once", "--log", str(tmp_path / "log"), "--registry", str(registry)]
    assert main([*words, "--json"]) == 1, "files that were written just now, too"
    told = json.loads(capsys.readouterr().out)
    assert sorted(text.partition(":")[0].rpartition("/")[2] for text in told["failed"]) == [
        "cut.mp4",
        "empty.mp4",
        "half.jpg",
        "text.mkv",
    ]
    assert told["logged"] == len(rows(tmp_path / "log")) == 4


def test_a_folder_without_an_image_is_named(registry: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    found = liftgate.watch(tmp_path / "empty", log=tmp_path / "log", registry=registry, settings=ONCE)
    assert found.failed == (f"{tmp_path / 'empty'}: no video and no image here",) and found.logged == 0


def test_a_growing_folder_is_followed_and_old_segments_are_passed_over(registry: Path, tmp_path: Path) -> None:
    folder, made = tmp_path / "buffer", tmp_path / "made.ts"
    folder.mkdir()
    write_scenes(made, 10)

    def add(number: int, age: float) -> None:
        shutil.copy(made, folder / ".part")
        os.utime(folder / ".part", (time.time() - age,) * 2)
        (folder / ".part").rename(folder / f"cam1_20260114-08{number:02d}00.ts")

    for number in range(6):
        add(number, 100 - number)
    with Watching([f"yard={folder}"], tmp_path / "log", registry) as watch:
        wait_for(lambda: len(rows(tmp_path / "log")) >= 8)
        add(6, 50)
        wait_for(lambda: len(rows(tmp_path / "log")) >= 12)
        folder.rename(tmp_path / "away")
        wait_for(lambda: any("no longer there; again in" in one for one in watch.states))
        (tmp_path / "away").rename(folder)
        add(7, 40)
        wait_for(lambda: len(rows(tmp_path / "log")) >= 16)
        (folder / "cam1_20260114-080800.ts").write_bytes(b"")
        os.utime(folder / "cam1_20260114-080800.ts", (time.time() - 30,) * 2)
        add(9, 20)
        wait_for(lambda: len(rows(tmp_path / "log")) >= 20)
    assert watch.problems == []
    (status,) = watch.done.cameras
    assert (status.camera, status.frames, status.dropped) == ("yard", 20, 4)
    assert status.problems >= 2, "the folder that was away, and the empty segment"
    assert {one.image.rpartition("_")[0] for one in rows(tmp_path / "log")} == {
        f"cam1_20260114-08{number:02d}00" for number in (4, 5, 6, 7, 9)
    }


def test_a_camera_that_hangs_up_is_connected_again_and_its_password_is_nowhere(registry: Path, tmp_path: Path) -> None:
    stream = tmp_path / "stream.ts"
    write_scenes(stream, 30)
    with (
        camera(stream, stream, user="operator", password="hunter2") as address,
        Watching([address], tmp_path / "log", registry) as watch,
    ):
        wait_for(lambda: len(rows(tmp_path / "log")) >= 2)
        wait_for(lambda: any("again in 2 s" in one for one in watch.states))
    assert watch.done.cameras[0].problems >= 2
    everything = repr(watch.states) + repr(watch.problems) + repr(watch.done) + repr(rows(tmp_path / "log"))
    assert "hunter2" not in everything and "operator" not in everything


def test_a_stream_over_tcp_that_ends_is_taken_up_again(registry: Path, tmp_path: Path) -> None:
    write_scenes(tmp_path / "stream.ts", 30)
    with (
        tcp_camera(tmp_path / "stream.ts", 3.0) as address,
        Watching([f"gate={address}"], tmp_path / "log", registry) as watch,
    ):
        wait_for(lambda: any("again in" in one for one in watch.states) and len(rows(tmp_path / "log")) >= 12)
    found = rows(tmp_path / "log")
    assert len({one.image for one in found}) == len(found), "every frame has a name of its own"
    assert {one.camera for one in found} == {"gate"} and any(one.detections for one in found)


@pytest.mark.slow
def test_a_stream_that_stalls_and_comes_late_is_opened_anew(registry: Path, tmp_path: Path) -> None:
    """A line that is down for seven seconds: what was filmed meanwhile is old, and is not caught up with."""
    write_scenes(tmp_path / "stream.ts", 150)
    stalled: list[float] = []

    def stall(share: float) -> float:
        if share < 0.25 or stalled:
            return 0.0
        stalled.append(share)
        return 7.0

    with (
        stalling_camera(tmp_path / "stream.ts", 15.0, stall) as address,
        Watching([f"gate={address}"], tmp_path / "log", registry) as watch,
    ):
        wait_for(lambda: any("s behind; again in 1 s" in one for one in watch.states))
        before = len(rows(tmp_path / "log"))
        assert before >= 2, "until then it was live"
        wait_for(lambda: len(rows(tmp_path / "log")) >= before + 4)
    assert watch.done.cameras[0].dropped >= 1 and watch.done.cameras[0].problems >= 1


def test_a_stream_over_udp_is_watched(registry: Path, tmp_path: Path) -> None:
    write_scenes(tmp_path / "stream.ts", 30)
    with (
        udp_camera(tmp_path / "stream.ts", 3.0) as address,
        Watching([f"gate={address}"], tmp_path / "log", registry) as watch,
    ):
        wait_for(lambda: any(one.detections for one in rows(tmp_path / "log")))
    assert {one.camera for one in rows(tmp_path / "log")} == {"gate"} and watch.done.cameras[0].frames >= 1


def test_at_a_terminal_one_line_shows_all_cameras_and_is_written_over(registry: Path, tmp_path: Path) -> None:
    for name in ("yard", "gate"):
        write_scenes(tmp_path / f"{name}.mp4", 900)
    command = [sys.executable, "-m", "liftgate", "watch", str(tmp_path / "yard.mp4"), str(tmp_path / "gate.mp4")]
    command += ["--log", str(tmp_path / "log"), "--registry", str(registry), "--status-every", "0.2"]
    ours, theirs = pty.openpty()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=theirs)
    os.close(theirs)
    shown = b""

    def both_are_live() -> bool:
        nonlocal shown
        with contextlib.suppress(OSError):  # the process has ended
            shown += os.read(ours, 65536) if select.select([ours], [], [], 0)[0] else b""
        return (
            re.search(rb"yard [\d.]+ fps, [1-9]\d* frames, 0 dropped.* gate [\d.]+ fps, [1-9]\d* fr", shown) is not None
        )

    try:
        wait_for(both_are_live)
        process.send_signal(signal.SIGTERM)
        with contextlib.suppress(OSError):  # the terminal is gone when the process is
            while more := os.read(ours, 65536):
                shown += more
        process.wait(timeout=LONG)
    finally:
        process.kill()
        os.close(ours)
    assert process.returncode == 0 and b" rows in " in shown
    lines = [one for one in shown.split(b"\r\x1b[K") if b" fps" in one]
    assert len(lines) >= 2 and not any(b"\n" in one for one in lines[:-1]), "written over, not below each other"


def test_a_stream_over_http_is_watched_and_opens_nothing_else(registry: Path, tmp_path: Path) -> None:
    write_scenes(tmp_path / "stream.ts", 30)
    secret = write_scenes(tmp_path / "secret.mp4", 30)
    (tmp_path / "list.m3u8").write_text(
        f"#EXTM3U\n#EXT-X-TARGETDURATION:3\n#EXTINF:3,\nfile://{secret}\n#EXT-X-ENDLIST\n"
    )
    with http_files(tmp_path) as url:
        with Watching([f"gate={url}/stream.ts"], tmp_path / "log", registry) as watch:
            wait_for(lambda: len(rows(tmp_path / "log")) >= 2)
        assert {one.camera for one in rows(tmp_path / "log")} == {"gate"}
        with Watching([f"list={url}/list.m3u8"], tmp_path / "other", registry) as watch:
            wait_for(lambda: any("again in 2 s" in one for one in watch.states))
        assert rows(tmp_path / "other") == [], "a stream names no file of this machine"


def test_a_source_that_never_answers_does_not_disturb_the_others(registry: Path, tmp_path: Path) -> None:
    write_scenes(tmp_path / "a.mp4", 20)
    with Watching(["rtsp://127.0.0.1:9/1", str(tmp_path / "a.mp4")], tmp_path / "log", registry) as watch:
        wait_for(lambda: len(rows(tmp_path / "log")) == 8)
        wait_for(lambda: any("again in 2 s" in one for one in watch.states))
    assert [one.frames for one in watch.done.cameras] == [0, 8]


def test_a_clock_that_jumps_moves_the_times_of_the_rows_and_nothing_else(registry: Path, tmp_path: Path) -> None:
    for name in ("straight", "jumping"):
        write_scenes(tmp_path / f"{name}.mp4", 40)
        clock = itertools.chain([2e9] * 5, [1e9] * 5, itertools.repeat(3e9))
        now = clock.__next__ if name == "jumping" else lambda: 2e9
        with Watching([str(tmp_path / f"{name}.mp4")], tmp_path / name, registry, ONCE, now) as watch:
            watch.thread.join(LONG)
    straight, jumping = (sorted(rows(tmp_path / name), key=lambda one: one.image) for name in ("straight", "jumping"))
    assert Counter(one.time for one in jumping) == {2e9: 5, 1e9: 5, 3e9: 6}
    assert [(one.quality, one.reasons, one.detections) for one in jumping] == [
        (one.quality, one.reasons, one.detections) for one in straight
    ]


def test_a_promotion_changes_the_version_of_the_rows_and_loses_none(tmp_path: Path) -> None:
    registry = registry_of(tmp_path, 2)
    write_scenes(tmp_path / "long.mp4", 1200)
    with Watching([str(tmp_path / "long.mp4")], tmp_path / "log", registry) as watch:
        wait_for(lambda: len(rows(tmp_path / "log")) >= 3)
        liftgate.promote("v0.1", registry=registry, override="a test")
        wait_for(lambda: watch.result is not None)
    found = rows(tmp_path / "log")
    assert watch.done.logged == len(found) == 480
    versions = [one.model_version for one in found]
    assert versions == sorted(versions) and set(versions) <= {"v0", "v0.1"}


def test_sigterm_ends_it_with_0_and_every_row_that_it_counts_is_there(registry: Path, tmp_path: Path) -> None:
    write_scenes(tmp_path / "long.mp4", 3000)
    command = [sys.executable, "-m", "liftgate", "watch", str(tmp_path / "long.mp4"), "--log", str(tmp_path / "log")]
    command += ["--registry", str(registry), "--json", "--status-every", "0.2"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        wait_for(lambda: len(rows(tmp_path / "log")) >= 5)
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=LONG)
    finally:
        process.kill()
    assert process.returncode == 0, err
    told = json.loads(out)
    assert told["logged"] == told["cameras"][0]["frames"] == len(rows(tmp_path / "log"))
    events = [json.loads(line) for line in err.splitlines() if line.startswith("{")]
    assert "watching" in {one["event"] for one in events}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--fps", "0"], "fps is out of range"),
        (["--settle", "-1"], "settle is out of range"),
        (["--model", "v9"], "no such version"),
        (["--registry", "nowhere"], "registry"),
        (["--keep-days", "-1"], "keep_days is out of range"),
    ],
)
def test_what_cannot_be_watched_is_one_error(
    registry: Path, tmp_path: Path, words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    write_scenes(tmp_path / "a.mp4", 2)
    given = ["watch", str(tmp_path / "a.mp4"), "--log", str(tmp_path / "log"), "--registry", str(registry), *words]
    assert main(given) == 2
    assert message in capsys.readouterr().err

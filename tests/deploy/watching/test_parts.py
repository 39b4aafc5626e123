"""The parts of a watch that need no video: what waits, what is due, how far behind, what is meant."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("av", reason="needs the `frames` extra")

from liftgate.deploy.watching.counts import CameraCounts, status_line
from liftgate.deploy.watching.live import LagMeter, Pace
from liftgate.deploy.watching.mailbox import CameraFrame, Mailbox
from liftgate.deploy.watching.sources import parse_sources
from liftgate.errors import DataError, UsageError


def frame(camera: str, number: int) -> CameraFrame:
    return CameraFrame(camera, str(number), float(number), np.zeros((1, 1, 3), np.uint8))


def test_the_newest_frame_wins_and_what_it_replaces_is_counted() -> None:
    box = Mailbox(["a", "b"])
    for number in range(5):
        box.put(frame("a", number))
    box.put(frame("b", 0))
    taken = [box.take(0), box.take(0)]
    assert [(one.camera, one.image) for one in taken if one] == [("a", "4"), ("b", "0")]
    assert box.dropped == {"a": 4, "b": 0}
    assert box.take(0) is None


def test_a_fast_camera_does_not_starve_a_slow_one() -> None:
    box = Mailbox(["fast", "slow"])
    box.put(frame("slow", 0))
    seen = []
    for number in range(3):
        box.put(frame("fast", number))
        one = box.take(0)
        assert one is not None
        seen.append(one.camera)
    assert seen == ["fast", "slow", "fast"]


def test_a_file_waits_for_its_turn_and_loses_nothing() -> None:
    box = Mailbox(["a"])
    sent = threading.Thread(target=lambda: [box.put_in_turn(frame("a", number)) for number in range(50)])
    sent.start()
    seen = [box.take(10) for _ in range(50)]
    sent.join()
    assert [int(one.image) for one in seen if one] == list(range(50)) and box.dropped == {"a": 0}


def test_a_closed_mailbox_gives_what_it_has_and_takes_no_more() -> None:
    box = Mailbox(["a"])
    box.put(frame("a", 1))
    box.close()
    box.put(frame("a", 2))
    assert box.put_in_turn(frame("a", 3)) is False
    last = box.take(10)
    assert last is not None and last.image == "1" and box.take(10) is None


@pytest.mark.parametrize("camera_fps", [5, 10, 12.5, 25, 30])
def test_on_average_so_many_frames_a_second_are_due(camera_fps: float) -> None:
    pace = Pace(4.0)
    taken = sum(pace.is_due(number / camera_fps) for number in range(int(60 * camera_fps)))
    assert abs(taken - 240) <= 2


def test_after_a_pause_there_is_no_burst() -> None:
    pace = Pace(4.0)
    assert pace.is_due(0.0)
    assert pace.is_due(100.0)
    assert sum(pace.is_due(100.0 + number / 100) for number in range(1, 100)) <= 5


def test_a_stream_that_is_slower_than_the_clock_is_behind() -> None:
    meter = LagMeter()
    behind = [meter.behind(now, stamp) for now, stamp in [(10, 0), (11, 1), (13, 2), (14, 2.5)]]
    assert behind == [0, 0, 1, 1.5]
    assert meter.behind(14, 4) == 0, "it may catch up"


@pytest.mark.parametrize("jump", [-3600.0, 3600.0])
def test_a_stream_whose_clock_jumps_is_measured_anew(jump: float) -> None:
    meter = LagMeter()
    meter.behind(10, 0)
    assert meter.behind(11, 1 + jump) == 0
    assert meter.behind(13, 2 + jump) == 1


def test_sources_have_names_and_show_no_password(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CAM_PASSWORD", "hunter2")
    (tmp_path / "a=b.mp4").write_bytes(b"x")
    found = parse_sources(
        [
            "gate=rtsp://user:$CAM_PASSWORD@10.0.0.7/live/1",
            "http://10.0.0.8:8080/video",
            f"yard={tmp_path}",
            str(tmp_path / "a=b.mp4"),
        ]
    )
    assert [one.name for one in found] == ["gate", "10.0.0.8-8080-video", "yard", "a_b"]
    assert "hunter2" not in repr(found)


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ([], "nothing to watch"),
        (["ftp://user:hunter2@host/1"], "not the address of a camera"),
        (["file:///etc/passwd"], "not the address of a camera"),
        (["rtsp://"], "not the address of a camera"),
        (["rtsp://host/1", "rtsp://host/1?other=1"], "two sources have one name"),
        (["a=rtsp://host/1", "a=rtsp://host/2"], "two sources have one name"),
    ],
)
def test_what_is_no_source_is_one_error(texts: list[str], message: str) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        parse_sources(texts)
    assert "hunter2" not in str(caught.value)


def test_a_file_that_is_no_video_is_one_error(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no video")
    with pytest.raises(DataError, match="neither a video nor an image"):
        parse_sources([str(tmp_path / "notes.txt")])
    with pytest.raises(DataError, match="no such file or folder"):
        parse_sources([str(tmp_path / "nowhere")])


def test_frames_a_second_are_those_since_the_last_look() -> None:
    clock = iter([0.0, 2.0, 4.0])
    counts = CameraCounts("gate", now=lambda: next(clock))
    for _ in range(8):
        counts.read_one()
        counts.seen_one()
    assert counts.status(3).line() == "gate 4.0 fps, 8 frames, 3 dropped"
    counts.lost("the stream ended; again in 1 s")
    assert status_line([counts.status(3)]) == "gate 0.0 fps, 8 frames, 3 dropped (the stream ended; again in 1 s)"

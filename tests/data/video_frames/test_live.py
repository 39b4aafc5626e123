"""Frames from a camera, and what must never be seen of its address."""

from __future__ import annotations

import time
from datetime import datetime
from pathlib import Path

import pytest

pytest.importorskip("av", reason="needs the `frames` extra")

from data.video_frames.clips import write_clip
from data.video_frames.rtsp import camera
from liftgate.data.video_frames import Request, record_camera
from liftgate.data.video_frames.live import Camera
from liftgate.errors import UsageError

NOON = datetime(2026, 1, 14, 12, 0, 0)


def everything(folder: Path) -> str:
    return "".join(f"{path.name}\n{path.read_bytes()!r}" for path in sorted(folder.rglob("*")) if path.is_file())


def test_a_camera_gives_a_frame_for_every_time_and_a_second_recording_adds_to_it(tmp_path: Path) -> None:
    stream = write_clip(tmp_path / "stream.ts", 60)
    with camera(stream) as address:
        outcome = record_camera(
            Camera.parse(address), tmp_path / "out", Request(every=1.0), seconds=4, name="gate", now=NOON
        )
    assert [row.image for row in outcome.frames] == [f"gate_20260114-120000_0000{s}000ms.jpg" for s in range(4)]
    assert {row.group for row in outcome.frames} == {"gate_2026-01-14"}
    assert outcome.faults == ()
    with camera(stream) as address:
        later = record_camera(
            Camera.parse(address),
            tmp_path / "out",
            Request(every=1.0),
            seconds=2,
            name="gate",
            now=NOON.replace(hour=13),
        )
    assert (len(later.frames), later.n_written) == (6, 2)


def test_the_password_is_in_no_name_no_file_and_no_message(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CAM_PASSWORD", "hunter2")
    with camera(write_clip(tmp_path / "stream.ts", 20), password="$CAM_PASSWORD") as address:
        source = Camera.parse(address)
        outcome = record_camera(source, tmp_path / "out", Request(every=1.0), seconds=1, now=NOON)
    gone = record_camera(source, tmp_path / "out", Request(every=1.0), seconds=1, now=NOON)  # nobody listens any more
    assert len(outcome.frames) == 1
    assert [fault.kind for fault in gone.faults] == ["stream_lost"]
    seen = (
        everything(tmp_path / "out")
        + repr(outcome)
        + repr(gone)
        + str(source)
        + repr(source)
        + "".join(capfd.readouterr())
    )
    assert "hunter2" not in seen
    assert "user" not in seen


@pytest.mark.parametrize("address", ["http://user:hunter2@host/1", "rtsp://", "s3://hunter2/1", "rtsp://[hunter2"])
def test_what_is_no_camera_is_refused_without_repeating_it(address: str) -> None:
    with pytest.raises(UsageError) as caught:
        Camera.parse(address)
    assert "hunter2" not in str(caught.value)


def test_a_camera_that_hangs_up_is_called_again_until_the_time_is_over(tmp_path: Path) -> None:
    stream = write_clip(tmp_path / "stream.ts", 30)
    waited: list[float] = []
    with camera(stream, stream, stream) as address:
        outcome = record_camera(
            Camera.parse(address), tmp_path / "out", Request(every=1.0), seconds=8, now=NOON, wait=waited.append
        )
    assert len(waited) == 2
    times = [float(row.time) for row in outcome.frames]
    assert len(times) == 8
    assert [round(time) for time in times] == list(range(8))
    (fault,) = outcome.faults
    assert fault.kind == "stream_lost"
    assert "the connection was lost after 3 s of 8 s, and 1 times more; 8 frames came" in fault.message


def test_a_camera_that_does_not_come_back_keeps_what_came_and_is_asked_less_and_less_often(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    passed = [0.0]
    waited: list[float] = []

    def wait(seconds: float) -> None:
        waited.append(seconds)
        passed[0] += seconds

    clock = time.monotonic
    monkeypatch.setattr("liftgate.data.video_frames.live.time.monotonic", lambda: clock() + passed[0])
    with camera(write_clip(tmp_path / "stream.ts", 30)) as address:
        outcome = record_camera(
            Camera.parse(address), tmp_path / "out", Request(every=1.0), seconds=60, now=NOON, wait=wait
        )
    assert len(outcome.frames) == 3
    assert waited[:5] == [1, 2, 4, 8, 16]
    assert sum(waited) >= 60 > sum(waited[:-1])
    assert [fault.kind for fault in outcome.faults] == ["stream_lost"]

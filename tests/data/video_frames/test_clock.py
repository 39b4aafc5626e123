"""Part of a recording keeps the recording's clock: a video that starts at 1:00:00 is whole."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

av = pytest.importorskip("av")

from liftgate.data.video_frames import Request, extract, find_sources  # noqa: E402
from liftgate.data.video_frames.video import Video  # noqa: E402


def recording(path: Path, *, start: int, seconds: int) -> Path:
    with av.open(str(path), "w") as out:
        stream = out.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for number in range(seconds * 10):
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), number % 255, dtype=np.uint8), "rgb24")
            frame.pts, frame.time_base = start * 10 + number, Fraction(1, 10)
            out.mux(stream.encode(frame))
        out.mux(stream.encode())
    return path


@pytest.mark.parametrize("suffix", [".mkv", ".mp4", ".asf"])
@pytest.mark.parametrize("start", [0, 5, 3600])
def test_a_part_of_a_recording_is_whole(suffix: str, start: int, tmp_path: Path) -> None:
    path = recording(tmp_path / f"part{suffix}", start=start, seconds=6)
    with Video(path) as video:
        facts = video.facts()
    assert facts.duration == pytest.approx(6, abs=0.2)
    assert facts.claimed == pytest.approx(6, abs=0.2)
    done = extract(find_sources([path]), tmp_path / "out", Request(every=2.0))
    assert done.faults == ()
    assert [row.requested for row in done.frames] == ["0.000000", "2.000000", "4.000000"]


def test_a_part_that_is_cut_off_is_still_a_fault(tmp_path: Path) -> None:
    path = recording(tmp_path / "part.mkv", start=3600, seconds=60)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    done = extract(find_sources([path]), tmp_path / "out", Request(every=5.0))
    assert [fault.kind for fault in done.faults] == ["video_cut"]

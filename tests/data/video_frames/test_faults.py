"""What is wrong with one source is a finding with a hint, and costs nothing else."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

import liftgate.data.video_frames
from data.video_frames.clips import write_clip
from liftgate.cli import main
from liftgate.data.video_frames.records import HINTS


def test_every_kind_of_fault_has_a_hint_and_stands_in_the_documentation() -> None:
    folder = Path(liftgate.data.video_frames.__file__).parent
    raised = {kind for file in folder.glob("*.py") for kind in re.findall(r'Fault\(\s*"(\w+)"', file.read_text())}
    assert raised == set(HINTS)
    text = (Path(__file__).parents[3] / "docs/frames.md").read_text()
    table = text[text.index("| finding | meaning |") :]
    assert all(kind in table for kind in HINTS)


def test_findings_have_the_shape_that_check_has(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_clip(tmp_path / "in/good.mp4", 20)
    (tmp_path / "in/empty.mp4").touch()
    assert main(["data", "frames", str(tmp_path / "in"), "--out", str(tmp_path / "out"), "--json"]) == 0
    out, err = capsys.readouterr()
    record = json.loads(out)
    assert record["n_frames"] == 1
    (finding,) = record["findings"]
    assert set(finding) == {"id", "severity", "where", "message", "hint"}
    assert (finding["id"], finding["severity"]) == ("frames.video_empty", "warning")
    assert finding["where"].endswith("empty.mp4")
    assert "hint: copy it again" in err


def test_a_window_behind_the_end_of_a_video_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    clip = write_clip(tmp_path / "clip.mp4", 20)
    assert main(["data", "frames", str(clip), "--start", "60", "--out", str(tmp_path / "out")]) == 1
    assert "it is 2.0 s long, and the window begins at 60.0 s" in capsys.readouterr().err


def test_videos_of_one_name_are_called_the_same_from_every_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder in ("a", "b"):
        write_clip(tmp_path / "in" / folder / "op.mp4", 10)
    found = []
    for place, sources in (
        (tmp_path, ["in/a", "in/b"]),
        (tmp_path / "in", ["a", "b"]),
        (tmp_path, [tmp_path / "in/a", "in/b"]),
    ):
        monkeypatch.chdir(place)
        out = tmp_path / f"out{len(found)}"
        assert main(["data", "frames", *map(str, sources), "--out", str(out)]) == 0
        found.append(sorted(path.name for path in out.glob("*.jpg")))
    assert len(found[0]) == 2
    assert found[0] == found[1] == found[2]

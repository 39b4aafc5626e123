"""What may be done with videos goes with their frames, from folder to folder."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("av", reason="needs the `frames` extra")
from data.video_frames.clips import write_clip
from liftgate.cli import main
from liftgate.data.prelabels import frames_dataset
from liftgate.data.provenance.card import read_card
from liftgate.data.provenance.declared_terms import DeclaredTerms, known_terms
from liftgate.data.provenance.licences import Terms
from liftgate.data.sampling.frames import read_frames
from liftgate.data.sampling.sample import copy_frames
from liftgate.data.video_frames.origin import frames_terms
from liftgate.errors import Refused
from liftgate.hashing import file_hash
from liftgate.testing.data import picture

SAID = ("--confidential", "--licence", "CC-BY-4.0", "--consent", "signed forms")
TERMS = Terms("CC-BY-4.0", "real", True, "signed forms")


def test_a_folder_of_frames_has_a_card_and_who_samples_or_labels_reads_it(tmp_path: Path) -> None:
    write_clip(tmp_path / "line.mp4", 30)
    out = tmp_path / "frames"
    assert main(["data", "frames", str(tmp_path / "line.mp4"), "--out", str(out), "--every", "1", *SAID]) == 0
    card = read_card(out)
    assert card is not None
    assert card.terms == TERMS
    assert card.hashes == {"frames.csv": file_hash(out / "frames.csv")}
    frames = read_frames(out)
    assert card.counts == {"frames": {"images": len(frames), "groups": 1, "objects": 0}}
    copy_frames(frames[:2], tmp_path / "next")
    assert known_terms(frames_dataset(tmp_path / "next", ["person"])) == TERMS


def test_a_second_run_that_says_nothing_releases_nothing(tmp_path: Path) -> None:
    write_clip(tmp_path / "line.mp4", 30)
    words = ["data", "frames", str(tmp_path / "line.mp4"), "--out", str(tmp_path / "frames"), "--every", "1"]
    assert main([*words, *SAID]) == 0
    assert main(words) == 0
    card = read_card(tmp_path / "frames")
    assert card is not None and card.terms == TERMS


def test_the_card_beside_the_videos_binds_their_frames(tmp_path: Path) -> None:
    first = tmp_path / "a/cam1/x.jpg"
    picture(first)
    copy_frames(read_frames(tmp_path / "a/cam1"), tmp_path / "b")
    assert frames_terms(tmp_path / "c", [tmp_path / "b/x.jpg"]) == Terms()
    said = DeclaredTerms("MIT", "synthetic", True, None)
    assert frames_terms(tmp_path / "c", [tmp_path / "b/x.jpg"], said) == Terms("MIT", "synthetic", True, None)


def test_a_readme_of_somebody_else_stops_it_before_the_work(tmp_path: Path) -> None:
    write_clip(tmp_path / "line.mp4", 30)
    out = tmp_path / "frames"
    out.mkdir()
    (out / "README.md").write_text("mine")
    assert main(["data", "frames", str(tmp_path / "line.mp4"), "--out", str(out), "--every", "1"]) == Refused.exit_code
    assert [path.name for path in out.iterdir()] == ["README.md"]
    assert (out / "README.md").read_text() == "mine"

"""Drift through its verb: logs of days, data sets with images, the ledger, exit codes."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import liftgate
from data.production_log.rows import logged, write_many
from liftgate.cli import main
from liftgate.data.production_log.records import LoggedBox, LoggedImage
from liftgate.errors import UsageError
from liftgate.ledger.chain import Ledger
from liftgate.ledger.production_records import DriftEntry
from liftgate.ledger.records import FlowEntry

DAY, BEGIN = 86400.0, 1_793_491_200.0  # November 1, 2026

Dim = Callable[[int], float]


def days_of(n: int, dim: Dim = lambda day: 0.0, *, seed: int = 0) -> Iterator[LoggedImage]:
    """Two cameras, ten images a day; days differ by chance, and `dim` darkens the gate's."""
    random = np.random.default_rng(seed)
    for day in range(n):
        for camera in ("gate", "yard"):
            light = 120 + random.normal(0, 3) - (dim(day) if camera == "gate" else 0)
            for number in range(10):
                image = logged(number, time=BEGIN + day * DAY + number, camera=camera)
                found = tuple(
                    LoggedBox("cone", float(np.clip(random.normal(0.7, 0.05), 0, 1)), (0.0, 0.0, 50.0, 40.0 + n % 3))
                    for _ in range(int(random.integers(1, 4)))
                )
                yield replace(image, brightness=light + random.normal(0, 1), detections=found)


def test_what_moved_is_named_by_camera_with_its_interval(tmp_path: Path) -> None:
    write_many(tmp_path / "log", list(days_of(56, lambda day: 20.0 if day >= 28 else 0.0)))
    found = liftgate.drift(tmp_path / "log", since="2026-11-29")
    assert found.answer == "drift"
    assert [(row.statistic, row.camera) for row in found.rows if row.word == "drift"] == [("brightness", "gate")]
    (row,) = [row for row in found.rows if row.word == "drift"]
    assert row.shift.low is not None and row.shift.high is not None
    assert row.shift.low < -20 < row.shift.high and (row.shift.n_before, row.shift.n_after) == (28, 28)


def test_where_nothing_moved_none_is_seen_and_that_is_not_called_none(tmp_path: Path) -> None:
    write_many(tmp_path / "log", list(days_of(56, seed=1)))
    found = liftgate.drift(tmp_path / "log", since="2026-11-29")
    assert found.answer == "no drift seen"
    assert "that nothing moved is not shown" in found.sentences[0]
    assert all("no drift" not in one or "no drift seen" in one for one in found.sentences)


@pytest.mark.parametrize(("after", "answer", "code"), [(4, "cannot tell", 11), (28, "drift", 3)])
def test_too_few_days_cannot_tell_and_exit_codes_say_which(
    after: int, answer: str, code: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_many(tmp_path / "log", list(days_of(28 + after, lambda day: 40.0 if day >= 28 else 0.0)))
    assert main(["drift", str(tmp_path / "log"), "--since", "2026-11-29", "--json"]) == code
    said = json.loads(capsys.readouterr().out)
    assert said["answer"] == answer
    rows = {(row["statistic"], row["camera"]): row for row in said["rows"]}
    dim = rows["brightness", "gate"]
    assert dim["word"] == answer and dim["days"] == [28, after]
    assert (dim["interval"] is None) == (answer == "cannot tell")
    assert main(["drift", str(tmp_path / "log"), "--since", "2026-11-29"]) == code
    assert answer in capsys.readouterr().out


def test_a_new_camera_and_a_silent_one_have_rows_that_cannot_tell(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [one for one in days_of(40) if one.camera == "gate" or one.time < BEGIN + 28 * DAY]
    rows += [replace(one, camera="roof") for one in rows if one.time >= BEGIN + 28 * DAY]
    write_many(tmp_path / "log", rows)
    study = tmp_path / "study.yaml"
    study.write_text("study: made\n")
    assert main(["drift", str(tmp_path / "log"), "--since", "2026-11-29", "--study", str(study), "--json"]) in (0, 3)
    said = {(row["statistic"], row["camera"]): row for row in json.loads(capsys.readouterr().out)["rows"]}
    silent, new = said["brightness", "yard"], said["brightness", "roof"]
    assert (silent["word"], silent["days"], silent["after"]) == ("cannot tell", [28, 0], None)
    assert (new["word"], new["days"], new["before"], new["delta"]) == ("cannot tell", [0, 12], None, None)


def test_detections_below_the_confidence_count_on_neither_side(tmp_path: Path) -> None:
    sure = list(days_of(56))
    weak = LoggedBox("cone", 0.1, (0.0, 0.0, 50.0, 40.0))
    write_many(
        tmp_path / "log",
        [replace(one, detections=(*one.detections, weak)) if one.time >= BEGIN + 28 * DAY else one for one in sure],
    )
    assert liftgate.drift(tmp_path / "log", since="2026-11-29").answer == "no drift seen"
    assert liftgate.drift(tmp_path / "log", since="2026-11-29", conf=0.05).answer == "drift"


def picture(path: Path, ground: tuple[int, int, int], seed: int) -> None:
    """A ground of one colour with dark bars somewhere."""
    random = np.random.default_rng(seed)
    pixels = np.full((96, 128, 3), ground, dtype=np.int64) + random.integers(-8, 9, (96, 128, 3))
    for _ in range(4):
        x, y = random.integers(0, 100), random.integers(0, 70)
        pixels[y : y + 20, x : x + 8] = 30
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(path)


def train_set(folder: Path) -> Path:
    """120 grey and green images of 12 groups."""
    for number in range(120):
        ground = (120, 120, 120) if number % 2 else (60, 140, 60)
        picture(folder / "images" / "train" / f"g{number % 12:02d}_{number:03d}.png", ground, number)
        label = folder / "labels" / "train" / f"g{number % 12:02d}_{number:03d}.txt"
        label.parent.mkdir(parents=True, exist_ok=True)
        label.write_text("0 0.5 0.5 0.2 0.2\n")
    (folder / "data.yaml").write_text("train: images/train\nval: images/train\nnames: [bar]\n")
    return folder / "data.yaml"


def test_frames_unlike_all_of_the_train_set_are_named(tmp_path: Path) -> None:
    data, lines = train_set(tmp_path / "set"), ["image,camera,day"]
    for number in range(60):
        snow = number in (7, 31)
        ground = (235, 235, 245) if snow else (120, 120, 120) if number % 2 else (60, 140, 60)
        picture(tmp_path / "frames" / f"f{number:02d}.png", ground, 1000 + number)
        lines.append(f"f{number:02d}.png,gate,2026-11-{1 + number // 6:02d}")
    (tmp_path / "frames" / "frames.csv").write_text("\n".join(lines) + "\n")
    write_many(tmp_path / "log", list(days_of(10)))
    asked = (tmp_path / "log", data)
    found = liftgate.drift(*asked, images=tmp_path / "frames", groups=r"(?P<group>g\d+)_")
    assert {one.image for one in found.new_frames[:2]} == {"f07.png", "f31.png"}
    assert len(found.new_frames) <= 4, "of 58 others at most 1% are expected"
    assert found.novelty is not None and found.novelty.threshold is not None
    assert {row.statistic for row in found.rows} == {"brightness", "appearance"}, "nothing else is known of the set"
    nothing = liftgate.drift(*asked, images=tmp_path / "frames")
    assert nothing.new_frames == () and "groups of its images are unknown" in nothing.sentences[-1]


def test_the_answer_is_recorded_in_the_ledger_of_a_study(tmp_path: Path) -> None:
    write_many(tmp_path / "log", list(days_of(20)))
    (tmp_path / "study.yaml").write_text("study: cones\n")
    ledger = Ledger(tmp_path / "runs" / "cones" / "ledger.sqlite")
    for since in ("2026-11-11", "2026-11-11", "2026-11-12"):
        liftgate.drift(tmp_path / "log", since=since, study=tmp_path / "study.yaml")
    entry, _ = ledger.records(DriftEntry)  # the first was asked twice, as after a kill
    assert (entry.answer, entry.since, entry.new_frames) == ("no drift seen", "2026-11-11", None)
    assert {(row.statistic, row.camera) for row in entry.rows} >= {("count", "gate"), ("confidence", "yard")}
    ledger.add(FlowEntry("0" * 64, (), {}, ended=""))
    liftgate.drift(tmp_path / "log", since="2026-11-11", study=tmp_path / "study.yaml")
    assert len(ledger.records(DriftEntry)) == 3, "after another run it belongs to the next month"


def test_what_cannot_be_asked_is_one_error(tmp_path: Path) -> None:
    write_many(tmp_path / "log", list(days_of(2)))
    with pytest.raises(UsageError, match="nothing to compare with"):
        liftgate.drift(tmp_path / "log")
    with pytest.raises(UsageError, match="since is no date"):
        liftgate.drift(tmp_path / "log", since="yesterday")
    with pytest.raises(UsageError, match="no images of this time"):
        liftgate.drift(tmp_path / "log", since="2027-01-01")
    with pytest.raises(UsageError, match="alpha is out of range"):
        liftgate.drift(tmp_path / "log", since="2026-11-02", alpha=0)
    with pytest.raises(UsageError, match="predictions need the images"):
        liftgate.drift(tmp_path / "results.json", tmp_path / "log")

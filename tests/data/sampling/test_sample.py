"""The next frames to label, from files to a CSV."""

from __future__ import annotations

import argparse
import csv
import json
import os
from collections import Counter
from pathlib import Path

import pytest

from data.sampling.fields import detection, write_field, write_jsonl, write_picture
from liftgate.cli import data_sample
from liftgate.data.sampling import SamplingRequest, sample
from liftgate.data.sampling.sample import copy_frames, write_sample
from liftgate.errors import DataError, Refused, UsageError


def split_csv(path: Path, rows: list[tuple[str, str, str]]) -> str:
    path.write_text("image,group,split\n" + "".join(f"{i},{g},{s}\n" for i, g, s in rows))
    return str(path)


def command(*words: object) -> int:
    parser = argparse.ArgumentParser()
    data_sample.configure(parser)
    return data_sample.run(parser.parse_args([str(word) for word in words]))


def test_without_logs_the_frames_are_spread_over_cameras_and_days(tmp_path: Path) -> None:
    write_field(tmp_path)
    chosen = sample(tmp_path, SamplingRequest(budget=12)).chosen
    assert Counter(one.frame.group for one in chosen) == {f"cam{c}_d{d}": 2 for c in (1, 2, 3) for d in (1, 2)}


def test_flags_disagreement_and_doubt_are_each_given_their_share(tmp_path: Path) -> None:
    names = write_field(tmp_path, frames=40)
    quality = {name: ("red", "yellow", "green")[k % 3] for k, name in enumerate(names)}
    champion = write_jsonl(
        tmp_path / "champion.jsonl",
        [
            {"image": n, "quality": quality[n], "model_version": "v0", "detections": [detection(0, 0.3 + k % 5 / 10)]}
            for k, n in enumerate(names)
        ],
    )
    challenger = write_jsonl(
        tmp_path / "challenger.jsonl",
        [{"image": n, "detections": [detection(40 if k % 4 == 0 else 0)]} for k, n in enumerate(names)],
    )
    result = sample(tmp_path, SamplingRequest(budget=40), champion=champion, challenger=challenger)
    assert len(result.chosen) == 40
    for one in result.chosen:
        name = one.frame.image
        assert ("red" in one.reasons) == (quality[name] == "red")
        assert ("disagreement" in one.reasons) == (names.index(name) % 4 == 0)
    for reason in ("red", "yellow", "disagreement", "low_confidence"):
        assert result.tallies[reason].given == result.tallies[reason].wanted > 0
    assert sum(tally.wanted for tally in result.tallies.values()) == 40


def test_a_log_with_two_kinds_of_predictions_works_as_coco_results_too(tmp_path: Path) -> None:
    names = write_field(tmp_path)
    for name, left in (("a.json", 0), ("b.json", 40)):
        rows = [{"image_id": n, "category_id": 1, "bbox": [left, 0, 20, 20], "score": 0.9} for n in names[:5]]
        (tmp_path / name).write_text(json.dumps(rows))
    result = sample(tmp_path, SamplingRequest(budget=5, shares={"disagreement": 1.0}), champion=tmp_path / "a.json",
                    challenger=tmp_path / "b.json")  # fmt: skip
    assert sorted(one.frame.image for one in result.chosen) == names[:5]


def test_the_same_seed_gives_the_same_bytes_and_another_seed_another_choice(tmp_path: Path) -> None:
    write_field(tmp_path / "in")
    for number in range(10):
        write_sample(sample(tmp_path / "in", SamplingRequest(budget=6, seed=number // 2)), tmp_path / f"{number}.csv")
    written = [(tmp_path / f"{number}.csv").read_bytes() for number in range(10)]
    assert written[::2] == written[1::2]
    assert len(set(written)) > 1


def test_near_copies_are_taken_once(tmp_path: Path) -> None:
    write_field(tmp_path, same=True)
    assert len(sample(tmp_path, SamplingRequest(budget=20)).chosen) == 1
    assert len(sample(tmp_path, SamplingRequest(budget=20, near=-1)).chosen) == 20


def test_no_frame_of_a_locked_group_is_chosen_whatever_its_flags(tmp_path: Path) -> None:
    names = write_field(tmp_path)
    champion = write_jsonl(tmp_path / "log.jsonl", [{"image": n, "quality": "red"} for n in names])
    locked = split_csv(tmp_path / "split.csv", [("old.jpg", "cam1_d1", "test"), ("cam2_d1_000.png", "cam2_d1", "val")])
    result = sample(tmp_path, SamplingRequest(budget=60), champion=champion, never=[locked])
    groups = {one.frame.group for one in result.chosen}
    assert "cam1_d1" not in groups
    assert "cam2_d1" in groups
    assert result.n_locked == 10
    both = sample(tmp_path, SamplingRequest(budget=60), champion=champion, never=[locked, f"{locked}:val"])
    assert both.n_locked == 20


def test_a_split_without_groups_locks_the_groups_of_its_images(tmp_path: Path) -> None:
    write_field(tmp_path)
    (tmp_path / "split.csv").write_text("image,split\ncam1_d1_003,test\nother.jpg,train\n")
    result = sample(tmp_path, SamplingRequest(budget=60), never=[str(tmp_path / "split.csv")])
    assert result.n_locked == 10
    assert all(one.frame.group != "cam1_d1" for one in result.chosen)


def test_a_near_copy_of_a_locked_frame_is_not_chosen(tmp_path: Path) -> None:
    write_field(tmp_path, cameras=2, days=1, frames=3)
    write_picture(tmp_path / "cam2_d1_001.png", 0)  # the scene of cam1_d1_000.png
    locked = split_csv(tmp_path / "split.csv", [("cam1_d1_000.png", "cam1_d1", "test")])
    chosen = {one.frame.image for one in sample(tmp_path, SamplingRequest(budget=60), never=[locked]).chosen}
    assert chosen == {"cam2_d1_000.png", "cam2_d1_002.png"}


def test_frames_without_a_group_are_refused_when_a_group_is_locked(tmp_path: Path) -> None:
    write_field(tmp_path)
    (tmp_path / "frames.csv").unlink()
    locked = split_csv(tmp_path / "split.csv", [("old.jpg", "cam1_d1", "test")])
    with pytest.raises(Refused, match="group is not known"):
        sample(tmp_path, never=[locked])


def test_a_split_that_locks_nothing_is_an_error(tmp_path: Path) -> None:
    write_field(tmp_path)
    locked = split_csv(tmp_path / "split.csv", [("old.jpg", "cam1_d1", "train")])
    with pytest.raises(DataError, match="nothing is locked"):
        sample(tmp_path, never=[locked])


def test_damaged_and_missing_images_are_faults_and_never_chosen(tmp_path: Path) -> None:
    write_field(tmp_path)
    (tmp_path / "cam1_d1_000.png").write_bytes(b"half")
    (tmp_path / "cam1_d1_001.png").unlink()
    result = sample(tmp_path, SamplingRequest(budget=60))
    assert result.n_unreadable == 2
    assert len(result.chosen) == 58
    assert {fault.kind for fault in result.faults} == {"image_unreadable"}


@pytest.mark.parametrize("name", ["../x.png", "/etc/passwd", "a/../../x.png"])
def test_a_manifest_that_leads_out_of_its_folder_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "frames.csv").write_text(f"image,group\n{name},a\n")
    with pytest.raises(DataError, match="outside"):
        sample(tmp_path)


@pytest.mark.parametrize(
    "request_",
    [SamplingRequest(budget=0), SamplingRequest(conf=2), SamplingRequest(near=999), SamplingRequest(shares={"red": 0})],
)
def test_a_request_without_sense_is_refused(tmp_path: Path, request_: SamplingRequest) -> None:
    write_field(tmp_path, cameras=1, days=1, frames=1)
    with pytest.raises(UsageError):
        sample(tmp_path, request_)


def test_copies_never_take_the_place_of_another_file(tmp_path: Path) -> None:
    write_field(tmp_path / "in")
    frames = [one.frame for one in sample(tmp_path / "in", SamplingRequest(budget=3)).chosen]
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / frames[2].image).write_bytes(b"mine")
    with pytest.raises(DataError, match="another file"):
        copy_frames(frames, tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == [frames[2].image]
    (tmp_path / "out" / frames[2].image).unlink()
    for _ in range(2):
        copy_frames(frames, tmp_path / "out")
        first = tmp_path / "out" / frames[0].image
        os.link(first, first.with_name(f".{first.name}.0.part"))  # killed between the two
    copy_frames(frames, tmp_path / "out")
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"README.md", *(frame.image for frame in frames)}


def test_the_command_writes_a_csv_and_says_what_every_reason_got(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = write_field(tmp_path / "in")
    log = write_jsonl(tmp_path / "log.jsonl", [{"image": n, "quality": "red", "score": 0.3} for n in names[:3]])
    arguments = [tmp_path / "in", "--out", tmp_path / "next.csv", "--champion", log, "--budget", 10]
    assert command(*arguments, "--copy", tmp_path / "copy", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["n_chosen"] == 10
    assert told["reasons"]["red"]["given"] == 3
    with (tmp_path / "next.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["reasons"] for row in rows[:3]] == ["red;low_confidence"] * 3
    assert {"README.md", *(row["image"] for row in rows)} == {path.name for path in (tmp_path / "copy").iterdir()}
    assert command(*arguments, "--share", "red=1") == 0
    assert "red" in capsys.readouterr().out
    for bad in (["--share", "blue=1"], ["--share", "red"]):
        with pytest.raises(UsageError):
            command(*arguments, *bad)


def test_frames_that_drift_calls_new_are_a_reason_and_the_farthest_comes_first(tmp_path: Path) -> None:
    names = write_field(tmp_path / "frames", frames=20)
    found = {"new_frames": [{"image": names[3], "distance": 0.4}, {"image": names[9], "distance": 0.8}], "rows": []}
    (tmp_path / "drift.json").write_text(json.dumps(found))
    words = [tmp_path / "frames", "--out", tmp_path / "next.csv", "--budget", 10, "--near", -1]
    assert command(*words, "--new", tmp_path / "drift.json") == 0
    rows = list(csv.DictReader((tmp_path / "next.csv").read_text().splitlines()))
    assert [(row["image"], row["score"]) for row in rows if row["reasons"].startswith("new_look")] == [
        (names[9], "1.0000"),
        (names[3], "0.5000"),
    ]
    assert not any("new_look" in row["reasons"] for row in rows if row["image"] not in (names[3], names[9]))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{}", "not what `liftgate drift"),
        ('{"new_frames": [{"image": "a.jpg"}]}', "no image or no distance"),
        ('{"new_frames": [{"image": "elsewhere.jpg", "distance": 1}]}', "none of the new frames"),
    ],
)
def test_new_frames_that_are_none_are_refused(tmp_path: Path, text: str, message: str) -> None:
    write_field(tmp_path / "frames", frames=4)
    (tmp_path / "drift.json").write_text(text)
    with pytest.raises(DataError, match=message):
        sample(tmp_path / "frames", new=tmp_path / "drift.json")

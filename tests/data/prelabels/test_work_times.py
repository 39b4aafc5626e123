"""Half of a batch goes out without pre-labels, and the seconds of work come home from a CSV or from CVAT's events."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from liftgate.cli import main
from liftgate.data.core.dataset import Dataset
from liftgate.data.formats.read import read
from liftgate.data.prelabels.cvat_events import EVENT_COLUMNS, frame_seconds
from liftgate.data.prelabels.halves import HALVES, Halves, draw_halves, prelabelled_half, read_halves, without_prelabels
from liftgate.data.prelabels.work_times import read_times
from liftgate.errors import DataError, UsageError
from liftgate.testing.data import picture

VIDEOS, SECONDS = 12, 3
GROUPS = r"^(?P<group>v\d+)_"


@pytest.fixture(scope="module")
def frames(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Frames of twelve videos with a model's boxes: the first videos have the fewest."""
    root = tmp_path_factory.mktemp("frames")
    names = [f"v{video:02d}_{second}.jpg" for video in range(VIDEOS) for second in range(SECONDS)]
    for number, name in enumerate(names):
        picture(root / "frames" / name, seed=number)
    boxes = [
        {"image_id": name, "category_id": 1, "bbox": [4 * k, 5, 20, 20], "score": 0.9}
        for name in names
        for k in range(1 + int(name[1:3]) // 3)
    ]
    (root / "p.json").write_text(json.dumps(boxes))
    (root / "p.settings.json").write_text(json.dumps({"classes": ["person"]}))
    return root


def exported(frames: Path, out: Path, *more: str) -> int:
    words = ["data", "prelabel", str(frames / "frames"), "--predictions", str(frames / "p.json"), "--out", str(out)]
    return main([*words, "--measure-saving", "--groups", GROUPS, *more])


def halves_of(folder: Path) -> Halves:
    found = read_halves(folder)
    assert found is not None
    return found


def test_half_of_the_groups_goes_out_without_boxes_and_the_draw_is_recorded(frames: Path, tmp_path: Path) -> None:
    assert exported(frames, tmp_path / "a", "--seed", "3", "--to", "cvat", "coco") == 0
    halves = halves_of(tmp_path / "a")
    assert halves.seed == 3 and len(halves.images) == VIDEOS * SECONDS
    assert halves.count(True) == halves.count(False) == (VIDEOS * SECONDS // 2, VIDEOS // 2)
    sides = set(zip(halves.groups, halves.prelabelled, strict=True))
    assert len(sides) == VIDEOS, "a group is in one half"
    sent = read(tmp_path / "a" / "annotations.xml")
    labelled = {sent.images[index].id for index in sent.labels.image.tolist()}
    assert labelled == {name for name, one in halves.of_image.items() if one}
    assert len(sent.images) == VIDEOS * SECONDS, "all of them are in the task"
    assert exported(frames, tmp_path / "b", "--seed", "3") == exported(frames, tmp_path / "c", "--seed", "4") == 0
    assert halves_of(tmp_path / "b") == halves != halves_of(tmp_path / "c")


def batch(frames: Path, tmp_path: Path) -> Dataset:
    exported(frames, tmp_path / "a")
    whole = read(tmp_path / "a" / "annotations.xml")
    return whole.with_images([replace(one, group=one.id[:3]) for one in whole.images])


def test_neither_half_has_all_the_crowded_groups_and_every_group_is_as_likely(frames: Path, tmp_path: Path) -> None:
    whole = batch(frames, tmp_path)
    drawn = [draw_halves(whole, seed) for seed in range(400)]
    often = np.mean([one.prelabelled for one in drawn], axis=0)
    assert all(0.4 < share < 0.6 for share in often)
    boxes = np.bincount(whole.labels.image, minlength=len(whole.images))
    shares = [boxes[np.array(one.prelabelled)].sum() / boxes.sum() for one in drawn]
    assert min(shares) >= 0.4 and max(shares) <= 0.6
    odd = whole.take(np.array([image.group != "v00" for image in whole.images]))
    sizes = {draw_halves(odd, seed).count(True).groups for seed in range(20)}
    assert sizes == {VIDEOS // 2 - 1, VIDEOS // 2}


def test_a_batch_of_one_group_has_no_halves(frames: Path, tmp_path: Path) -> None:
    whole = batch(frames, tmp_path)
    with pytest.raises(UsageError, match="one group has no halves"):
        draw_halves(whole.with_images([replace(one, group="all") for one in whole.images]), 0)


def test_what_was_edited_or_does_not_fit_is_refused(frames: Path, tmp_path: Path) -> None:
    whole = batch(frames, tmp_path)
    halves = halves_of(tmp_path / "a")
    text = (tmp_path / "a" / HALVES).read_text()
    (tmp_path / "a" / HALVES).write_text(text.replace("true", "false", 1))
    with pytest.raises(DataError, match="which half had pre-labels was edited"):
        read_halves(tmp_path / "a")
    with pytest.raises(DataError, match="not those of the drawn half"):
        prelabelled_half(without_prelabels(whole, halves).take(np.arange(5)), halves, exported=True)
    merged = whole.with_images([replace(one, group=f"{int(one.id[1:3]) // 4}") for one in whole.images])
    with pytest.raises(DataError, match="groups are in both halves"):
        prelabelled_half(merged, halves, exported=True)
    stranger = whole.with_images([replace(whole.images[0], id="x.jpg"), *whole.images[1:]])
    with pytest.raises(DataError, match=r"in neither half.*x\.jpg"):
        prelabelled_half(stranger, halves)


def test_from_a_batch_to_what_the_other_half_saved(
    frames: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert exported(frames, tmp_path / "a") == 0
    out = capsys.readouterr().out
    assert "with pre-labels: 18 images in 6 groups; to be drawn from nothing: 18 images in 6 groups (seed 0)" in out
    halves = halves_of(tmp_path / "a")
    home, rng = tmp_path / "home.xml", np.random.default_rng(0)
    box = '    <box label="person" occluded="0" xtl="4" ytl="5" xbr="24" ybr="25"></box>\n'
    lines = (tmp_path / "a" / "annotations.xml").read_text().splitlines(keepends=True)
    drawn = {name for name, had in halves.of_image.items() if not had}
    home.write_text("".join(
        line + box if any(f'name="{name}"' in line for name in drawn) else line for line in lines
    ))  # fmt: skip
    objects = read(home)
    counts = np.bincount(objects.labels.image, minlength=len(objects.images))
    rows = [
        f"{image.id},{(4 if halves.of_image[image.id] else 12) * n * rng.uniform(0.8, 1.2):.2f}"
        for image, n in zip(objects.images, counts.tolist(), strict=True)
    ]
    (tmp_path / "times.csv").write_text("\n".join(["image,seconds", *rows]) + "\n")
    words = ["data", "corrections", str(tmp_path / "a"), str(home)]
    assert main([*words, "--times", str(tmp_path / "times.csv"), "--groups", GROUPS, "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    saving = record["measured"]["saving"]
    assert saving["per_object"]["low"] < 8 < saving["per_object"]["high"]
    assert (saving["per_object"]["n_images"], saving["per_object"]["n_groups"]) == (36, 12)
    assert saving["without"]["n_objects"] == 18
    assert record["n_images"] == 18, "corrections are counted where there were pre-labels"
    assert record["total"]["recall"]["estimate"] == 1, "what was drawn from nothing was not missed by the model"
    assert main([*words, "--times", str(tmp_path / "times.csv"), "--level", "0.9"]) == 0
    out = capsys.readouterr().out
    assert "pre-labels saved time: +" in out and "(90% two-sample" in out and "36 images in 12 groups)" in out
    assert main(words) == 0
    assert "--times CSV says what the other half saved" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (["a.jpg,1", "a.jpg,2"], r"two times.*times\.csv:3"),
        (["a.jpg,1", "x.jpg,2"], r"not exported.*times\.csv:3.*x\.jpg"),
        (["a.jpg,-1"], "no time of work"),
        (["a.jpg,0"], "no time of work"),
        (["a.jpg,nan"], "no time of work"),
        (["a.jpg,soon"], "no time of work"),
    ],
)
def test_a_time_that_is_none_is_refused_by_its_line(tmp_path: Path, rows: list[str], message: str) -> None:
    path = tmp_path / "times.csv"
    path.write_text("\n".join(["image,seconds", *rows]) + "\n")
    with pytest.raises(DataError, match=message):
        read_times(path, ["a.jpg", "b.jpg"], tmp_path / "home.xml")


def test_an_image_of_which_no_time_is_known_has_none(tmp_path: Path) -> None:
    path = tmp_path / "times.csv"
    path.write_text('image,seconds,by\na.jpg,12.5,ann\n"b\n,c.jpg",,ann\n')
    assert read_times(path, ["a.jpg", "b\n,c.jpg"], tmp_path / "home.xml") == {"a.jpg": 12.5}
    path.write_text("image,minutes\na.jpg,1\n")
    with pytest.raises(DataError, match=r"no times of work.*image,seconds"):
        read_times(path, ["a.jpg"], tmp_path / "home.xml")


# What CVAT logs


def event(second: float, scope: str, payload: object = None, *, user: int = 1, job: int = 5, **more: Any) -> list[str]:
    row = {
        "scope": scope, "source": "client", "timestamp": f"2026-11-30 10:{int(second) // 60:02d}:{second % 60:06.3f}",
        "duration": "0", "task_id": "7", "job_id": str(job), "user_id": str(user),
        "payload": json.dumps(payload or {}), **{name: str(value) for name, value in more.items()},
    }  # fmt: skip
    return [row[name] for name in EVENT_COLUMNS]


def shown(second: float, before: int, to: int, step: int = 0, **more: Any) -> list[str]:
    payload = {"from": before, "to": to, "step": step or to - before, "count": 1}
    return event(second, "change:frame", payload, **more)


def log(path: Path, rows: Sequence[Sequence[str]]) -> Path:
    import csv

    with path.open("w", newline="") as file:
        csv.writer(file).writerows([EVENT_COLUMNS, *rows])
    return path


def test_time_between_events_goes_to_the_frame_that_was_shown(tmp_path: Path) -> None:
    rows = [
        event(0, "load:job"), event(4, "draw:object"), shown(10, 0, 1), event(30, "draw:object"),
        event(35, "resize:object"), shown(36, 1, 2, duration=500), event(46.5, "save:job"),
    ]  # fmt: skip
    assert frame_seconds(log(tmp_path / "e.csv", rows)) == pytest.approx({0: 10, 1: 26, 2: 0.5 + 10})
    assert frame_seconds(log(tmp_path / "e.csv", rows[::-1])) == pytest.approx({0: 10, 1: 26, 2: 10.5})


def test_a_pause_of_more_than_a_hundred_seconds_is_no_work(tmp_path: Path) -> None:
    rows = [shown(0, 3, 4), event(60, "draw:object"), event(161, "draw:object"), event(170, "draw:object")]
    assert frame_seconds(log(tmp_path / "e.csv", rows)) == pytest.approx({4: 69})


def test_frames_that_were_flicked_through_share_their_time(tmp_path: Path) -> None:
    """CVAT writes one event for steps with nothing between them; the work after the first event is the last one's."""
    rows = [shown(0, 0, 4, step=1), event(20, "draw:object"), event(26, "draw:object")]
    assert frame_seconds(log(tmp_path / "e.csv", rows)) == pytest.approx({1: 5, 2: 5, 3: 5, 4: 11})


def test_people_and_jobs_are_kept_apart_and_the_server_does_not_work(tmp_path: Path) -> None:
    rows = [
        shown(0, 0, 1, user=1, job=5), shown(5, 8, 9, user=2, job=6), event(10, "draw:object", user=1, job=5),
        event(12, "draw:object", user=2, job=6), event(11, "update:annotations", source="server"),
        event(13, "click:element", job_id=""),
    ]  # fmt: skip
    assert frame_seconds(log(tmp_path / "e.csv", rows)) == pytest.approx({1: 10, 9: 7})


def test_events_name_images_by_the_frames_of_the_export(tmp_path: Path) -> None:
    home = tmp_path / "home.xml"
    home.write_text('<annotations><image id="0" name="b.jpg"/><image id="1" name="a.jpg"/></annotations>')
    path = log(tmp_path / "events.csv", [shown(0, 0, 1), event(9, "draw:object"), shown(12, 1, 2), event(15, "x")])
    assert read_times(path, ["a.jpg", "b.jpg"], home) == {"a.jpg": 12.0}
    with pytest.raises(DataError, match=r"export CVAT for images 1\.1"):
        read_times(path, ["a.jpg"], tmp_path / "instances_default.json")


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([event(0, "x"), event(1, "x", task_id=8)], r"events of several tasks.*7, 8"),
        ([event(0, "x", source="server")], "no events of an annotator"),
        ([event(0, "x", timestamp="soon")], r"cannot be read.*e\.csv:2"),
        ([event(0, "x", duration="long")], r"cannot be read.*e\.csv:2"),
        ([event(0, "x", duration=-9000)], r"a duration of -9000 ms"),
        ([event(0, "x", duration="nan")], r"a duration of nan ms"),
        ([event(0, "x", duration="1e12")], r"a duration of 1e12 ms"),
        ([event(0, "change:frame", {"from": 1, "to": "next"})], r"cannot be read.*e\.csv:2"),
        ([[*event(0, "change:frame")[:-1], "{"]], r"cannot be read.*e\.csv:2"),
    ],
)  # fmt: skip
def test_a_log_that_cannot_be_read_is_one_error(tmp_path: Path, rows: list[list[str]], message: str) -> None:
    with pytest.raises(DataError, match=message):
        frame_seconds(log(tmp_path / "e.csv", rows))


def test_one_task_of_several_is_taken_and_an_enormous_step_costs_nothing(tmp_path: Path) -> None:
    rows = [shown(0, 0, 10**12, step=1), event(3, "draw:object"), shown(0, 0, 1, task_id=8), event(50, "x", task_id=8)]
    assert frame_seconds(log(tmp_path / "e.csv", rows), 7) == pytest.approx({10**12: 3})

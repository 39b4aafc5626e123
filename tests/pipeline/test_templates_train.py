"""Each template with Ultralytics itself, on small parts of real data: what the toy backend cannot show of a flow."""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar

import pytest
import yaml

from backends.tiny import RECIPE, write_model
from liftgate import api
from liftgate.backends.base import TrainJob
from liftgate.errors import FindingsError
from liftgate.ledger import Ledger
from liftgate.study.templates import TemplateInputs, write
from liftgate.testing.backends import write_tree
from liftgate.training import launch

_ABSENT = importlib.util.find_spec("ultralytics") is None
pytestmark = [
    pytest.mark.slow,
    pytest.mark.train,
    pytest.mark.skipif(_ABSENT, reason="needs the `train` extra"),
]
_SMALL = {"imgsz": 64, "batch": 8, "nbs": 8, "optimizer": "AdamW", "lr0": 0.002, "warmup_epochs": 0, "plots": False}
DICE = ("one", "two", "three", "four", "five", "six")


@pytest.fixture
def cells(tmp_path: Path, fixtures: Path) -> Path:
    """A part of BCCD as its authors laid it out: 32 images to train on, 12 each to validate and to test."""
    source, folder = fixtures / "bccd", tmp_path / "cells"
    for split, count in (("train", 32), ("val", 12), ("test", 12)):
        stems = (source / "ImageSets" / "Main" / f"{split}.txt").read_text().split()[:count]
        listing = folder / "ImageSets" / "Main" / f"{split}.txt"
        listing.parent.mkdir(parents=True, exist_ok=True)
        listing.write_text("".join(f"{stem}\n" for stem in stems))
        for stem in stems:
            for part, suffix in (("Annotations", "xml"), ("JPEGImages", "jpg")):
                (folder / part).mkdir(exist_ok=True)
                shutil.copy(source / part / f"{stem}.{suffix}", folder / part)
    return folder


@pytest.fixture
def dice(tmp_path: Path, fixtures: Path) -> Path:
    """A part of the dice photographs: 16 to train on, 6 to validate; no class in common with the cells."""
    source, folder = fixtures / "dice", tmp_path / "dice"
    for split, count in (("train", 16), ("test", 6)):
        for image in sorted((source / "images" / split).iterdir())[:count]:
            for kind, path in (("images", image), ("labels", source / "labels" / split / f"{image.stem}.txt")):
                (folder / kind / split).mkdir(parents=True, exist_ok=True)
                shutil.copy(path, folder / kind / split)
    document = {"path": ".", "train": "images/train", "val": "images/test", "names": dict(enumerate(DICE))}
    (folder / "data.yaml").write_text(yaml.safe_dump(document))
    return folder / "data.yaml"


def run(path: Path, recipes: Mapping[str, Mapping[str, Any]], **changes: Any) -> Mapping[str, str]:
    """Run a template with small recipes by `arm.stage` and other changes; return its verdicts' words."""
    overrides = {f"arms.{place}.recipe": yaml.safe_dump({**_SMALL, **recipe}, default_flow_style=True).strip()
                 for place, recipe in recipes.items()}  # fmt: skip
    overrides |= {"device": "cpu", "evaluation": "{imgsz: 64}"}
    overrides |= {key.replace("__", "."): str(value) for key, value in changes.items()}
    result = api.run(path, overrides=overrides)
    assert result.report.is_file()
    return {name: verdict["word"] for name, verdict in result.verdicts.items()}


def trained(path: Path) -> list[tuple[str, int]]:
    """Arm and stage of every training so far; each was Ultralytics' own and left its weights."""
    (folder,) = (path.parent / "runs").glob("*/")
    runs = [entry.body for entry in Ledger(folder / "ledger.sqlite").entries("run")]
    assert all((folder / run["best"]).stat().st_size > 100_000 for run in runs)
    assert {run["facts"]["backend"] for run in runs} == {"ultralytics"}
    return [(run["arm"], run["stage"]) for run in runs]


@pytest.fixture
def off_the_shelf(fixtures: Path) -> str:
    return str(fixtures / "weights" / "yolov8n_coco_recon.pt")


def test_measure_first_trains_when_the_model_does_not_know_the_class(
    tmp_path: Path, cells: Path, off_the_shelf: str
) -> None:
    path = write(tmp_path / "study", "measure-first", TemplateInputs(cells, weights=off_the_shelf, cls="RBC"))
    with pytest.raises(FindingsError, match="check found errors"):  # it says so before anything runs
        run(path, {"tuned.stages.0": {"epochs": 6}})
    needed = "when: {good_enough: [FAIL, MARGINAL]}"
    flow = f"[check, baseline, good_enough, {{step: train, arms: [tuned], {needed}}}, {{step: lift, {needed}}}, report]"
    known = {"ignore__weights__classes": "that it does not know them is the question"}
    words = run(path, {"tuned.stages.0": {"epochs": 6}}, gates__lift__margin=0.01, flow=flow, **known)
    assert words["good_enough"] == "FAIL", "no COCO model knows a blood cell"
    assert words["lift"] in ("PASS", "MARGINAL")
    assert trained(path) == [("tuned", 1)]


def test_two_stage_chains_the_stages_and_judges_against_its_control(
    tmp_path: Path, cells: Path, dice: Path, off_the_shelf: str
) -> None:
    path = write(tmp_path / "study", "two-stage", TemplateInputs(cells, dice, weights=off_the_shelf))
    epochs = {"single.0": {"epochs": 2}, "two_stage.0": {"epochs": 1}, "two_stage.1": {"epochs": 1}}
    known = {"ignore__classes__mismatch": "dice before cells: no class in common is the question"}
    words = run(path, epochs, seeds="[0]", **known)
    assert list(words) == (["lift"] if words["lift"] == "PASS" else ["lift", "same"])
    assert trained(path) == [("single", 1), ("two_stage", 1), ("two_stage", 2)]


def test_the_runbook_climbs_its_ladder(tmp_path: Path, cells: Path, off_the_shelf: str) -> None:
    path = write(tmp_path / "study", "runbook", TemplateInputs(cells, weights=off_the_shelf))
    recipes = {
        "smoke.0": {"epochs": 1, "imgsz": 64},
        "at_640.0": {"epochs": 2, "imgsz": 96},
        "at_416.0": {"epochs": 2, "imgsz": 64},
        "long_640.0": {"epochs": 3, "imgsz": 96},
        "long_416.0": {"epochs": 3, "imgsz": 64},
    }
    words = run(path, recipes)
    longest = "long_640" if words["size"] == "PASS" else "long_416"
    assert [arm for arm, _ in trained(path)] == ["smoke", "at_640", "at_416", longest]


def test_improve_stops_phase_one_helps_with_phase_two_and_takes_a_smaller_model_only_where_that_fails(
    tmp_path: Path, cells: Path, dice: Path, off_the_shelf: str
) -> None:
    path = write(tmp_path / "study", "improve", TemplateInputs(cells, dice, weights=off_the_shelf))
    model = write_model(tmp_path / "smaller.yaml")
    changes = {
        "arms__smaller__0__weights": model,
        "arms__phase1__0__expect": "{1: [0.5, 0.6]}",
        "arms__phase1__0__decide": "[{at: 1, continue_if: mAP50 > 0.99}]",
        "arms__phase2__0__decide": "[{at: 1, continue_if: mAP50 >= 0}]",
        "gates__lift2__rule": "point",
        "datasets__data__ratios": "[0.5, 0.25, 0.25]",
    }
    recipes = {"phase1.0": {"epochs": 3}, "phase2.0": {"epochs": 6, "save_period": 2}, "smaller.0": {"epochs": 1}}
    words = run(path, recipes, gates__lift2__margin=0.001, **changes)
    assert words["lift2"] == "PASS" and list(words) == ["lift2", "production"]
    (folder,) = (path.parent / "runs").glob("*/")
    first = Ledger(folder / "ledger.sqlite").entries("run")[0].body
    assert (first["word"], first["epochs"]) == ("STOPPED", 1)
    assert [arm for arm, _ in trained(path)] == ["phase1", "phase2"]
    words = run(path, recipes, gates__lift2__margin=0.99, **changes)
    assert [arm for arm, _ in trained(path)] == ["phase1", "phase2", "smaller"], "the first two are not trained again"
    assert words["lift2"] in ("MARGINAL", "FAIL") and "lift3" in words


class TestKillSwitch:
    """Real and made poses: rectangles with a left and a right point."""

    recipe: ClassVar = {"epochs": 8, "mosaic": 0.0, "fliplr": 0.5, "lr0": 0.01}

    @pytest.fixture
    def poses(self, tmp_path: Path) -> Callable[[str, int], Path]:
        def make(name: str, train: int) -> Path:
            source = write_tree(tmp_path / name, train=train, held_out=10, size=(96, 64 if name == "real" else 72))
            for label in (source.parent / "labels").iterdir():
                rows = [[float(word) for word in line.split()] for line in label.read_text().splitlines()]
                label.write_text(
                    "".join(f"{c:.0f} {x} {y} {w} {h} {x - w / 2} {y} 2 {x + w / 2} {y} 2\n" for c, x, y, w, h in rows)
                )
            document = yaml.safe_load(source.read_text()) | {"kpt_shape": [2, 3], "flip_idx": [1, 0]}
            source.write_text(yaml.safe_dump(document | {"kpt_oks_sigmas": [0.05, 0.05]}))
            return source

        return make

    def test_it_asks_whether_made_images_help_and_never_lets_the_control_s_work_pass_for_theirs(
        self, tmp_path: Path, poses: Callable[[str, int], Path]
    ) -> None:
        real, made = poses("real", 24), poses("made", 16)
        model = write_model(tmp_path / "pose.yaml", keypoints=2)
        job = TrainJob(str(model), real, {**RECIPE, "epochs": 3}, 0, "pose", tmp_path / "v1" / "results", "cpu")
        v1 = launch.train(job, backend="ultralytics", folder=tmp_path / "v1", on_event=lambda event: None).best
        path = write(tmp_path / "study", "kill-switch", TemplateInputs(real, made, weights=str(v1)))
        recipes = dict.fromkeys(("a.0", "b.0", "made_only.0"), self.recipe)
        # A gate that everybody passes, as the published one was passed by a bug: what counts is a minus b.
        changes = {
            "arms__a__0__data__1__take": 8,
            "arms__b__0__data__0__take": 8,
            "gates__kill__claims__0__at_least": 0.0,
        }
        words = run(path, recipes, **changes)
        assert [arm for arm, _ in trained(path)] == ["a", "b", "made_only"]
        assert set(words) == {"learnable", "kill", "over_v1", "synthetic"}
        (folder,) = (path.parent / "runs").glob("*/")
        results = [entry.body["result"] for entry in Ledger(folder / "ledger.sqlite").entries("step")]
        kill = next(result for result in results if result.get("gate") == "kill" or result.get("name") == "kill")
        assert ("the control explains it" in kill["sentence"]) == (kill["word"] == "FAIL")

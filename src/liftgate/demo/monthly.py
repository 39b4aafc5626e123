"""Run `liftgate demo --case monthly`: three months of a model in production, whose camera grows darker.

Each month: what production doubts is labelled, a new version is trained, compared on the frozen test and on the month,
runs a day beside the champion, and is promoted or not. Nothing that is printed is fixed beforehand; the person who
corrects labels is played by the truth of the drawn frames, and a day of the camera by the frames' own clock.
"""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import numpy as np

from liftgate import api, data
from liftgate.data.sampling.records import SamplingRequest
from liftgate.demo.demo_dataset import DigitPool
from liftgate.demo.fading_camera import GROUPS, draw_first_set, draw_month, frames_of_a_day, month_start
from liftgate.demo.played_day import PlayedServer
from liftgate.demo.played_person import label_frames
from liftgate.demo.walkthrough import DemoResult, busy_note, print_verdict
from liftgate.errors import UsageError
from liftgate.files import write_text
from liftgate.pipeline.context import never
from liftgate.pipeline.notice import Notice, ignore_notice
from liftgate.progress import Progress, silent
from liftgate.services.study_runs import RunResult

MONTHS = 3
_BUDGET = 24
"""Frames of a month that are labelled for each of the two purposes"""
_EDITS = {
    r"task: detect": "task: detect\ndevice: cpu\nevaluation: {imgsz: 128}",
    r"recipe: \{.*\}": "recipe: {epochs: 6, imgsz: 128, batch: 8, nbs: 8, optimizer: AdamW, lr0: 0.002, "
    "warmup_epochs: 1, mosaic: 0.5, close_mosaic: 2, scale: 0.3, fliplr: 0.0, plots: false}",
    # A frozen test of 14 videos cannot show a loss of one point.
    r"margin: -0.01": "margin: -0.1",
    r"openings: \{test: 24\}": "openings: {test: 12}",
}
"""What is edited in the template: a tiny model, few epochs, and what 14 videos can show"""
_DECIDED = (0, 10, 11)
"""Exit codes of a study that came to a verdict"""
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class _Place:
    """Folders of the demo, and what prints and is told."""

    folder: Path
    say: Say
    notify: Callable[[Notice], None]
    should_stop: Callable[[], bool]
    progress: Progress

    @property
    def study(self) -> Path:
        return self.folder / "loop" / "study.yaml"

    @property
    def template(self) -> Path:
        return self.folder / "template.yaml"

    @property
    def registry(self) -> Path:
        return self.folder / "models"

    @property
    def log(self) -> Path:
        return self.folder / "production"


def run_monthly(
    folder: Path,
    say: Say,
    *,
    notify: Callable[[Notice], None] = ignore_notice,
    should_stop: Callable[[], bool] = never,
    progress: Progress = silent,
) -> DemoResult:
    """Play the months in `folder`, and print each step.

    Args:
        folder: missing or empty: months are played once.
        say: prints text.
        notify: called with the notices of the studies.
        should_stop: called during a run; True pauses it.
        progress: called during the work.

    Raises:
        UsageError: an extra is missing, or `folder` has something in it.
    """
    begun = time.monotonic()
    if folder.is_dir() and any(folder.iterdir()):
        hint = "months are played once: liftgate demo --case monthly ANOTHER_FOLDER"
        raise UsageError("the folder has something in it", where=folder, hint=hint)
    if note := busy_note():
        say(f"{note}\n")
    here = _Place(folder.absolute(), say, notify, should_stop, progress)  # the study's paths are not relative to here
    rng = np.random.default_rng(17)
    pool = DigitPool(rng)
    _put_first_version_to_use(here, pool, rng)
    labelled: Path | None = None
    result: RunResult | None = None
    for month in range(1, MONTHS + 1):
        say(
            f"\nMonth {month}: {month_start(month):%B}. The camera shows {0.2 * month:.0%} less light than in September"
        )
        labelled = _label(here, month, labelled, pool, rng)
        result = api.run(here.study, notify=notify, should_stop=should_stop, progress=progress)
        for verdict in result.verdicts.values():
            print_verdict(verdict, say)
        if result.exit_code not in _DECIDED:
            say("   stopped: the month has no verdict, and nothing is promoted")
            break
        _shadow_and_decide(here, month, pool, rng, passed=result.exit_code == 0)
    assert result is not None
    page = api.months(here.study, registry=here.registry)
    seconds = time.monotonic() - begun
    say(f"\n   {seconds:.0f} s in all. The months beside each other, one file that works offline:\n   {page}")
    return DemoResult(result.verdicts, result.report, here.study, seconds)


def _put_first_version_to_use(here: _Place, pool: DigitPool, rng: np.random.Generator) -> None:
    here.say("September: digits before a camera, and a first model of them")
    first = draw_first_set(here.folder / "first", pool, rng)
    for name in ("first.yaml", "tiny.yaml"):
        with resources.as_file(resources.files("liftgate.demo") / "files" / name) as source:
            shutil.copyfile(source, here.folder / name)
    study = here.folder / "first.yaml"
    result = api.run(study, notify=here.notify, should_stop=here.should_stop, progress=here.progress)
    for verdict in result.verdicts.values():
        print_verdict(verdict, here.say)
    override = None if result.exit_code == 0 else "the first version: there is no other"
    version = _register(here, study, "first", "v0")
    api.promote(version, registry=here.registry, override=override)
    here.say(f"   {version} answers from now on: liftgate models promote {version}")
    api.init(here.study.parent, "monthly", data=first, weights="CHAMPION", groups=GROUPS)
    text = here.study.read_text(encoding="utf-8")
    for pattern, new in _EDITS.items():
        text, count = re.subn(pattern, new, text)
        assert count, pattern
    write_text(here.template, text)


def _register(here: _Place, study: Path, arm: str, version: str | None) -> str:
    """Export an arm of a study that has run, and register it with its export."""
    out = here.folder / "exports" / (version or f"{len(api.list_models(registry=here.registry))}")
    made = api.export(study, out, arm=arm, progress=here.progress)
    exports = {one.folder.name: one.folder for one in made.exports}
    return api.add_model(study, registry=here.registry, arm=arm, version=version, exports=exports).version


def _label(here: _Place, month: int, before: Path | None, pool: DigitPool, rng: np.random.Generator) -> Path:
    """Log a month, sample and label its frames, and write the month's study; return all that is labelled by now."""
    place = here.folder / f"month{month}"
    server, frames = PlayedServer(here.registry, here.log), place / "frames"
    count = server.see(draw_month(place, month, pool, rng))
    here.say(f"   {count} frames in the production log, seen by {server.version}")
    if month > 1:
        _tell_drift(here, month)
    data.split(frames, place / "halves", ratios=(0.5, 0, 0.5))
    champion = api.show_model(registry=here.registry)
    doubted = data.sample(
        frames, place / "doubted.csv", SamplingRequest(budget=_BUDGET, near=-1), champion=here.log,
        never=(f"{place / 'halves' / 'split.csv'}:test",), copy=place / "doubted",
    )  # fmt: skip
    random = data.sample(
        frames, place / "random.csv", SamplingRequest(budget=_BUDGET, shares={"random": 1.0}),
        never=(f"{place / 'halves' / 'split.csv'}:train",), copy=place / "random",
    )  # fmt: skip
    here.say(
        f"   to be labelled: {len(doubted.chosen)} frames that production doubts, to train on, and of the other days\n"
        f"   {len(random.chosen)} at random, to measure on"
    )
    export = champion.folder / champion.exports[0]
    sets = {
        name: label_frames(place / name, export, place / "truth" / "labels", place / f"{name}-labels", here.progress)
        for name in ("doubted", "random")
    }
    objects, added, deleted = (
        sum(getattr(one, what) for one in sets.values()) for what in ("n_objects", "n_added", "n_deleted")
    )
    here.say(
        f"   pre-labelled by {server.version} and corrected: {objects} objects, of which it had missed {added}, and "
        f"{deleted} that are none"
    )
    merged = sets["doubted"].data_yaml
    if before is not None:
        data.merge([f"before={before}", f"new={merged}"], place / "labelled")
        merged = place / "labelled" / "data.yaml"
    _write_study(here, month, merged, sets["random"].data_yaml, champion.weights)
    return merged


def _tell_drift(here: _Place, month: int) -> None:
    """Compare the month with those before it, as `liftgate drift LOG --since DAY --study STUDY` does."""
    found = api.drift(here.log, since=month_start(month).isoformat(), study=here.study)
    here.say("".join(f"   {line}\n" for line in found.sentences[:3]).rstrip())


def _write_study(here: _Place, month: int, labelled: Path, measured: Path, champion: Path) -> None:
    """Write the month's names and paths into the template's study, as a person edits them."""
    text = here.template.read_text(encoding="utf-8")
    changes = {
        "labelled/data.yaml": labelled, "month/data.yaml": measured, "CHAMPION": champion,
        "labelled:": f"labelled-{month}:", "dataset: labelled": f"dataset: labelled-{month}",
        "  month:": f"  month-{month}:", "month.test": f"month-{month}.test", "lift_month": f"lift_month_{month}",
    }  # fmt: skip
    for old, new in changes.items():
        text = text.replace(old, str(new))
    write_text(here.study, text)


def _shadow_and_decide(here: _Place, month: int, pool: DigitPool, rng: np.random.Generator, *, passed: bool) -> None:
    """Register the month's model, let it see a day beside the champion, and promote it where its gates passed."""
    version = _register(here, here.study, "retrained", None)
    server = PlayedServer(here.registry, here.log)
    out = here.folder / f"shadow-{version}"
    shadow = server.shadow(version, frames_of_a_day(month, pool, rng), out)
    here.say(
        f"   a day of {version} beside {server.version}: {shadow.finding.at_times}\n   {shadow.finding.on_average}"
    )
    if passed:
        api.promote(version, registry=here.registry)
        here.say(f"   {version} is promoted; `liftgate models rollback` takes it back")
    else:
        here.say(f"   {server.version} stays: the gates did not pass")

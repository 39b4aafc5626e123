"""What more data would bring: of a study whose flow asked, or whose arms differ only in how much they train on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from liftgate.errors import UsageError
from liftgate.evaluation.more_data import Amount, MeasuredImages, Worth, amount_of, require_near, worth_of
from liftgate.evaluation.records import Evaluation
from liftgate.hashing import content_hash
from liftgate.ledger.chain import Ledger
from liftgate.ledger.last_run import LastRun, read_last_run, trained_stages
from liftgate.ledger.records import StepEntry
from liftgate.ledger.results import EvaluateResult
from liftgate.ledger.workspace import Workspace
from liftgate.ledger.worth_records import WorthEntry
from liftgate.pipeline.datasets import StudyDatasets
from liftgate.pipeline.steps.worth import answer_of
from liftgate.progress import Progress, silent
from liftgate.stats.power_law import LEAST_AMOUNTS
from liftgate.study.records import Arm, Study
from liftgate.study.study_file import load
from liftgate.study.vocabulary import NO_LEARNING_CURVE

_SHARES = (0.25, 0.5, 1.0)


def worth(
    study: str | Path,
    more: int | None = None,
    *,
    metric: str | None = None,
    seconds_per_image: float | None = None,
    progress: Progress = silent,
) -> Worth:
    """Return what more training images would bring, from a study's step `worth`, or arms that differ only in `take`.

    Args:
        study: study.yaml of a study that ran.
        more: images beyond those of the largest arm; None: as the step says, else as many again.
        metric: that the arms were evaluated by; None: that of the step, or of the study's first comparison, else
            mAP50.
        seconds_per_image: how long an image takes to label; None: as the step says.
        progress: called as data are read.

    Raises:
        UsageError: fewer than three amounts were trained on and evaluated (the message has arms to add), more than
            four times the data are asked for, or the metric was not measured, or follows no learning curve.
    """
    if more is not None and more < 1:
        raise UsageError("more data are at least one image", got=more)
    if seconds_per_image is not None and not 0 < seconds_per_image < 86400:
        raise UsageError("an image takes some seconds to label", got=seconds_per_image)
    opened = load(Path(study))
    workspace, rate = Workspace(opened), opened.budget.usd_per_hour
    recorded = _recorded(workspace, metric)
    if recorded is not None:
        return answer_of(recorded, rate, more=more, seconds_per_image=seconds_per_image)
    datasets = StudyDatasets(opened, workspace, progress)
    family = _family(opened, datasets)
    if len(set(family.values())) < LEAST_AMOUNTS:
        if any(step.worth is not None for step in opened.flow):
            hint = f"liftgate run {study}"
            raise UsageError("the last run did not come to the step `worth`", where=study, hint=hint)
        raise UsageError(
            "no arms tell what data are worth: three that differ only in how many images they are trained on",
            where=study, got=f"{len(set(family.values()))} amounts", hint=_arms_to_add(opened, datasets),
        )  # fmt: skip
    require_near(max(family.values()), more)
    if not workspace.ledger.is_file():
        raise UsageError("the study has not run", where=study, hint=f"liftgate run {study}")
    name = metric or next((gate.metric for gate in opened.gates if gate.is_comparison and gate.metric), "mAP50")
    _require_learning_curve(name)
    test, amounts = _measured(read_last_run(Ledger(workspace.ledger)), family, name)
    return worth_of(name, test, amounts, more=more, seconds_per_image=seconds_per_image, usd_per_hour=rate)


def _recorded(workspace: Workspace, metric: str | None) -> WorthEntry | None:
    """Return what a step of the last run's flow measured, with a value of every amount; None: there was none.

    Raises:
        UsageError: the metric has no interval, or a training of the step was stopped.
    """
    run = read_last_run(Ledger(workspace.ledger)) if workspace.ledger.is_file() else None
    steps = () if run is None else run.of_kind("worth")
    if run is None or not steps:
        return None
    entries = [(step, WorthEntry.from_body(step.result)) for step in steps]
    step, entry = next((one for one in reversed(entries) if metric in (None, one[1].metric)), entries[-1])
    needs = run.all_needs(step)
    stopped = any(one.result.word == "STOPPED" for one in trained_stages(needs))
    if stopped or (metric in (None, entry.metric) and entry.gain is None):
        raise UsageError(entry.text.rstrip("."), where=workspace.folder)
    return entry if metric in (None, entry.metric) else _by_another_metric(entry, needs, str(metric))


def _by_another_metric(entry: WorthEntry, needs: Sequence[StepEntry], metric: str) -> WorthEntry:
    """Return the amounts by another metric of the same evaluations; a gate may have measured an arm in another way.

    Raises:
        UsageError: the metric has no interval, or follows no learning curve.
    """
    _require_learning_curve(metric)
    found = [EvaluateResult.from_body(step.result) for step in needs if step.kind == "evaluate"]
    rows = []
    for row in entry.amounts:
        own = [Evaluation.from_dict(dict(one.evaluation)) for one in found if one.arm == row.arm]
        amount = amount_of(row.arm, row.images, own, metric)
        rows.append(replace(row, value=amount.value, standard_error=amount.standard_error, seeds=amount.seeds))
    return replace(entry, metric=metric, amounts=tuple(rows))


def _require_learning_curve(metric: str) -> None:
    if metric in NO_LEARNING_CURVE:
        hint = "--metric mAP50, mAP50-95, recall …"
        raise UsageError(f"{metric} follows no learning curve that could be continued", hint=hint)


def _family(study: Study, datasets: StudyDatasets) -> dict[str, int]:
    """Return arm → training images, of the arms that differ in nothing else; the largest such set."""
    found: dict[str, dict[str, int]] = {}
    for arm in study.arms:
        if len(arm.stages) == 1 and len(arm.stages[0].mix) <= 1:
            found.setdefault(_without_take(arm), {})[arm.name] = _images(arm, datasets)
    return max(found.values(), key=lambda arms: len(set(arms.values())), default={})


def _without_take(arm: Arm) -> str:
    (stage,) = arm.stages
    repeat = stage.mix[0].repeat if stage.mix else 1
    return content_hash([stage.sources, repeat, replace(stage, mix=())])


def _images(arm: Arm, datasets: StudyDatasets) -> int:
    (stage,) = arm.stages
    if stage.mix and stage.mix[0].take is not None:
        return stage.mix[0].take
    return sum(image.split == "train" for image in datasets.dataset(stage.sources[0]).images)


def _measured(run: LastRun, family: Mapping[str, int], metric: str) -> tuple[MeasuredImages, tuple[Amount, ...]]:
    """Return the images on which most arms were measured, and the metric of each arm there, all at one threshold."""
    measured: dict[tuple[str, object], dict[str, dict[int, Evaluation]]] = {}
    for step in run.of_kind("evaluate"):
        result = EvaluateResult.from_body(step.result)
        if result.arm in family:
            evaluation = Evaluation.from_dict(dict(result.evaluation))
            place = result.on, evaluation.settings.get("conf")
            measured.setdefault(place, {}).setdefault(result.arm, {})[result.seed] = evaluation
    (on, _), by_seed = max(measured.items(), key=lambda one: len(one[1]), default=(("", None), {}))
    arms = {name: list(found.values()) for name, found in by_seed.items()}
    if len({family[name] for name in arms}) < LEAST_AMOUNTS:
        hint = "gates that compare these arms evaluate them: run the study to its end"
        raise UsageError("fewer than three of the arms were evaluated on one split", got=sorted(arms), hint=hint)
    seconds: dict[str, list[float]] = {}
    for one in run.trained:
        seconds.setdefault(one.result.arm, []).append(one.result.trained_seconds)
    rows = [
        amount_of(name, family[name], found, metric, seconds=_mean(seconds.get(name, ())))
        for name, found in arms.items()
    ]
    first = next(iter(arms.values()))[0]
    return MeasuredImages(on, first.n_images, first.n_groups), tuple(rows)


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None


def _arms_to_add(study: Study, datasets: StudyDatasets) -> str:
    """Return arms to paste, made of the study's first arm that is trained in one stage."""
    arm = next((one for one in study.arms if len(one.stages) == 1 and len(one.stages[0].sources) == 1), None)
    if arm is None:
        return "arms of one stage on one data set, with `data: [{dataset: NAME, take: N}]`"
    name = arm.stages[0].sources[0]
    whole = sum(image.split == "train" for image in datasets.dataset(name).images)
    takes = ", ".join(f"{{dataset: {name}, take: {max(1, round(share * whole))}}}" for share in _SHARES)
    return f"copies of the arm {arm.name} with `data: [part]`, part one of {takes}, and gates that compare them"

"""Check rules between the keys of a study: known names, a valid order of the flow, enforceable ceilings.

Each rule checks the entries that are valid by themselves, so that one typo does not hide other mistakes.
"""

from __future__ import annotations

import math
from typing import Any

from liftgate.study.ablations import variants
from liftgate.study.conditions import FORECAST_EPOCHS, parse_condition
from liftgate.study.gate_rules import check_gates
from liftgate.study.partial_study import PartialStudy, require_known, require_unlocked_splits
from liftgate.study.value_types import candidates
from liftgate.study.vocabulary import (
    ARM_WORDS,
    EXPORT_FORMATS,
    EXPORT_PRECISIONS,
    NO_LEARNING_CURVE,
    PCK,
    PLANNED_VERBS,
    RESERVED_ARGUMENTS,
    VERBS,
    VERDICTS,
    WORTH_WORDS,
)
from liftgate.study.yaml_keys import (
    ModelKeys,
    StageKeys,
    StepKeys,
    TrainedKeys,
)
from liftgate.study.yaml_source import Path, Source
from liftgate.suggestions import suggestion

_WORTH_KEYS = ("shares", "on", "metric", "old_groups", "more", "seconds_per_image", "margin")
_TAKE_ARMS = "train, baseline, export, mistakes and worth"


def check(draft: PartialStudy, source: Source) -> None:
    """Add a problem to `source` for every contradiction in the draft."""
    for rule in (_datasets, _arms, _ablations, check_gates, _names, _flow, _order, _answer, _budget, _seeds, _log):
        rule(draft, source)


def _datasets(draft: PartialStudy, source: Source) -> None:
    for name, dataset in draft.datasets.items():
        path: Path = ("datasets", name)
        if dataset.ratios is not None:
            total = math.fsum(dataset.ratios)
            if abs(total - 1) > 1e-6:
                source.add_problem((*path, "ratios"), f"expected shares that sum to 1, got {total:g}")
            elif dataset.ratios[0] == 0 and _trained_on(draft, name):
                source.add_problem((*path, "ratios"), f"the share of train is 0, and an arm trains on `{name}`")
            if dataset.split is not None:
                source.add_problem(
                    (*path, "ratios"), "`split` has frozen the split already", "keep one of the two keys"
                )
        for locked in dataset.lock:
            if locked in ("train", "val") and _trained_on(draft, name):
                message = f"`{locked}` cannot be locked: training on `{name}` evaluates it in every epoch"
                source.add_problem((*path, "lock"), message)
        for split in dataset.openings:
            if split not in dataset.lock:
                source.add_problem((*path, "openings", split), f"`{split}` is not locked", f"lock: [{split}]")


def _trained_on(draft: PartialStudy, dataset: str) -> bool:
    stages = (stage for arm in draft.arms.values() if isinstance(arm, list) for stage in arm)
    return any(dataset in (*_sources(stage), stage.val) for stage in stages)


def _sources(stage: StageKeys) -> tuple[str, ...]:
    return (stage.data,) if isinstance(stage.data, str) else tuple(part.dataset for part in stage.data)


def _arms(draft: PartialStudy, source: Source) -> None:
    for name, arm in draft.arms_as_written.items():
        if isinstance(arm, ModelKeys):
            continue
        path: Path = ("arms", name)
        if isinstance(arm, TrainedKeys):
            path = (*path, "stages")
            require_unlocked_splits(draft, arm.remember or [], ("arms", name, "remember"), source)
            if arm.select is not None:
                _select(draft, arm.select, ("arms", name, "select"), source)
        for index, stage in enumerate(arm.stages if isinstance(arm, TrainedKeys) else arm):
            _stage(draft, stage, index, (*path, index), source)


def _stage(draft: PartialStudy, stage: StageKeys, index: int, path: Path, source: Source) -> None:
    _data(draft, stage, path, source)
    if index == 0 and stage.weights is None:
        source.add_problem(path, "the first stage needs `weights`", "an official name, a file or a model YAML")
    if "weights_from" in stage.model_fields_set and (index == 0 or stage.weights is not None):
        message = "`weights_from` is about the stage before, which this stage does not start from"
        source.add_problem((*path, "weights_from"), message, "leave out `weights_from`, or `weights` of a later stage")
    for argument, value in stage.recipe.items():
        _argument((*path, "recipe", argument), argument, value, source)
    if stage.select is not None:
        _select(draft, stage.select, (*path, "select"), source)
    _decisions(stage, path, source)


def _data(draft: PartialStudy, stage: StageKeys, path: Path, source: Source) -> None:
    known = draft.names["datasets"]
    if stage.val is not None:
        require_known(source, (*path, "val"), stage.val, "dataset", known)
    if isinstance(stage.data, str):
        require_known(source, (*path, "data"), stage.data, "dataset", known)
        return
    for index, part in enumerate(stage.data):
        here: Path = (*path, "data", index)
        require_known(source, (*here, "dataset"), part.dataset, "dataset", known)
        if part.dataset in _sources(stage)[:index]:
            source.add_problem((*here, "dataset"), f"`{part.dataset}` is in the mix twice", "write `repeat: 2`")
    if len(stage.data) > 1 and stage.val is None:
        hint = f"for example val: {stage.data[-1].dataset}"
        source.add_problem(path, "a mix of several datasets needs `val`: val and test are never mixed", hint)


def _select(draft: PartialStudy, metric: str, path: Path, source: Source) -> None:
    if metric.startswith("pose_") and draft.task != "pose":
        source.add_problem(path, f"`{metric}` is a metric of keypoints, and the task is {draft.task}", "task: pose")


def _decisions(stage: StageKeys, path: Path, source: Source) -> None:
    epochs = stage.recipe.get("epochs")
    last = epochs if isinstance(epochs, int) and not isinstance(epochs, bool) else math.inf
    for index, point in enumerate(stage.decide):
        here: Path = (*path, "decide", index, "at")
        if point.at > last:
            source.add_problem(here, f"the recipe ends after {last} epochs: this point is never reached")
        ahead = any(text and parse_condition(text).forecast for text in (point.continue_if, point.careful_if))
        if ahead and point.at < FORECAST_EPOCHS:
            source.add_problem(here, f"a forecast needs at least {FORECAST_EPOCHS} epochs, got {point.at}")
        if index and point.at <= stage.decide[index - 1].at:
            source.add_problem(here, f"expected a later epoch than {stage.decide[index - 1].at}, got {point.at}")
    for epoch in stage.expect:
        if epoch > last:
            source.add_problem(
                (*path, "expect"), f"the recipe ends after {last} epochs: nothing is seen of epoch {epoch}"
            )


def _ablations(draft: PartialStudy, source: Source) -> None:
    for name, arm in draft.arms_as_written.items():
        if not isinstance(arm, TrainedKeys):
            continue
        for argument, values in arm.ablate.items():
            path: Path = ("arms", name, "ablate", argument)
            _argument(path, argument, list(values), source)
            made = [variant for variant in variants(name, arm) if variant.argument == argument]
            if not made:
                source.add_problem(path, f"`{name}` has this value already: there is nothing to compare it with")
            for variant in made:
                if variant.name in draft.names["arms"] or len({one.name for one in made}) < len(made):
                    source.add_problem(path, f"there are two arms `{variant.name}`", "rename one, or leave a value out")


def _argument(path: Path, name: str, value: Any, source: Source) -> None:
    if name in RESERVED_ARGUMENTS:
        source.add_problem(path, f"`{name}` is not a recipe's to set", RESERVED_ARGUMENTS[name])
    for item in value if isinstance(value, list) else [value]:
        if isinstance(item, dict | list):
            source.add_problem(path, "expected a number, a word or a list of them")
        elif isinstance(item, float) and not math.isfinite(item):
            source.add_problem(path, f"expected a finite number, got {item}")
        elif isinstance(item, str) and item.lower() in ("yes", "no", "on", "off"):
            meant = "true" if item.lower() in ("yes", "on") else "false"
            source.add_problem(path, f"`{item}` is a word here, not a switch", f"write {meant}")


def _names(draft: PartialStudy, source: Source) -> None:
    for name in draft.names["gates"]:
        if name in VERBS or name in PLANNED_VERBS:
            source.add_problem(("gates", name), f"`{name}` is a step of the flow and cannot name a gate")


def _answer(draft: PartialStudy, source: Source) -> None:
    if draft.answer is None:
        return
    several = draft.expanded_gates.get(draft.answer, {draft.answer: None})
    if len(several) > 1:
        message = f"`{draft.answer}` expands to several gates, and the answer is one"
        source.add_problem(("answer",), message, suggestion("", tuple(several)))
    elif require_known(source, ("answer",), draft.answer, "gate", draft.gate_names):
        steps = {name for step in draft.flow.values() for name in (step.step, *draft.expanded_gates.get(step.step, ()))}
        if draft.flow and draft.answer not in steps:
            source.add_problem(
                ("answer",), f"the gate `{draft.answer}` is not in the flow", "a gate answers once decided"
            )


def _flow(draft: PartialStudy, source: Source) -> None:
    gates = draft.gate_names
    seen: list[str] = []
    trained: list[str] = []
    for index, step in draft.flow.items():
        path: Path = ("flow", index)
        if step.step in PLANNED_VERBS:
            message = f"`{step.step}` is not built yet in this version of Liftgate"
            source.add_problem(path, message, f"take it out of the flow; steps that exist: {', '.join(VERBS)}")
        elif step.step not in VERBS:
            require_known(source, path, step.step, "step or gate", (*VERBS, *gates))
        _condition(draft, step, (*path, "when"), (seen, trained), source)
        if step.step in gates and step.step in seen:
            source.add_problem(path, f"the gate `{step.step}` is in the flow twice", "a gate has one verdict")
        if step.step == "worth" and step.margin is not None and "worth" in seen:
            message = "`worth` is asked with a `margin` twice, and a condition could mean either"
            source.add_problem((*path, "margin"), message, "leave one `margin` out")
        _step_arms(draft, step, path, source)
        # without a margin, worth says nothing that a condition could ask for
        seen += [step.step] if step.step != "worth" or step.margin is not None else []
        seen += [*draft.expanded_gates.get(step.step, ())]
        if step.step == "train":
            trained += step.arms if step.arms is not None else draft.arm_names


def _condition(
    draft: PartialStudy, step: StepKeys, path: Path, before: tuple[list[str], list[str]], source: Source
) -> None:
    """Check that a condition names gates and arms of earlier steps, with possible verdicts or outcomes."""
    seen, trained = before
    for condition in step.when:
        for name, words in condition.items():
            here = (*path, name) if len(step.when) == 1 else path
            several = draft.expanded_gates.get(name, {name: None})
            if name in draft.gate_names:
                known, ready, fault = VERDICTS, name in seen, "has no verdict yet"
            elif name == "worth" and name not in draft.arm_names:
                known, ready, fault = WORTH_WORDS, "worth" in seen, "is asked with a `margin` by no step before"
            elif require_known(source, here, name, "gate or arm", (*draft.gate_names, *draft.arm_names)):
                known, ready, fault = ARM_WORDS, name in trained, "is not trained yet"
            else:
                continue
            if not ready:
                source.add_problem(here, f"`{name}` {fault}: it must come earlier in the flow")
            if name not in several:
                source.add_problem(here, f"`{name}` expands to several gates", suggestion("", several))
            for word in words:
                require_known(source, here, word, f"word of `{name}`", known)


def _step_arms(draft: PartialStudy, step: StepKeys, path: Path, source: Source) -> None:
    for key, words, known in (
        ("formats", step.formats, EXPORT_FORMATS),
        ("precisions", step.precisions, EXPORT_PRECISIONS),
    ):
        if words is not None and step.step != "export":
            source.add_problem((*path, key), f"only export takes `{key}`, not `{step.step}`")
        for index, word in enumerate(words or ()):
            require_known(source, (*path, key, index), word, key.removesuffix("s"), known)
    for owner, keys in (("mistakes", ("folds",)), ("worth", _WORTH_KEYS)):
        for key in keys:
            if step.step != owner and getattr(step, key) is not None:
                source.add_problem((*path, key), f"only {owner} takes `{key}`, not `{step.step}`")
    if step.step in ("mistakes", "worth"):
        arm = _arm_of_parts(draft, step, path, source)
        if step.step == "worth":
            _worth(draft, step, arm, path, source)
        return
    if step.arms is None:
        return
    if step.step not in ("train", "baseline", "export"):
        source.add_problem((*path, "arms"), f"only {_TAKE_ARMS} take `arms`, not `{step.step}`")
        return
    for index, name in enumerate(step.arms):
        here: Path = (*path, "arms", index)
        if require_known(source, here, name, "arm", draft.arm_names) and name in draft.arms:
            trains = isinstance(draft.arms[name], list)
            if step.step == "train" and not trains:
                source.add_problem(here, f"`{name}` has no stages: there is nothing to train")


def _arm_of_parts(draft: PartialStudy, step: StepKeys, path: Path, source: Source) -> StageKeys | None:
    """Return the one stage that a step trains on parts of a dataset; None: a problem was added."""
    trained = [name for name, arm in draft.arms.items() if isinstance(arm, list)]
    names = trained if step.arms is None else step.arms
    here: Path = path if step.arms is None else (*path, "arms")
    if len(names) != 1:
        got = ", ".join(names) or "none that is trained"
        message = f"`{step.step}` trains on parts of the data by the recipe of one arm, got {got}"
        source.add_problem(here, message, f"{{step: {step.step}, arms: [{trained[0] if trained else 'ARM'}]}}")
        return None
    (name,) = names
    if not require_known(source, here, name, "arm", draft.arm_names) or name not in draft.arms:
        return None
    arm = draft.arms[name]
    if not isinstance(arm, list):
        hint = "an arm with `weights`, `data` and `recipe`; predictions of a model as it is: `check --predictions`"
        source.add_problem(here, f"`{name}` has no stages: there is nothing to train", hint)
        return None
    if len(arm) > 1 or not isinstance(arm[0].data, str) or arm[0].val not in (None, arm[0].data):
        what = f"{len(arm)} stages" if len(arm) > 1 else "a mix of data"
        hint = "add an arm of one stage on one dataset for it; it need not be in `train`"
        source.add_problem(here, f"`{name}` has {what}, and `{step.step}` trains one stage on one dataset", hint)
        return None
    return arm[0]


def _worth(draft: PartialStudy, step: StepKeys, stage: StageKeys | None, path: Path, source: Source) -> None:
    """Check what a worth step trains on and is measured by."""
    if step.shares is not None and (len(set(step.shares)) < 3 or 1 not in step.shares):
        message = f"expected three shares or more that end in 1, got {step.shares}"
        source.add_problem((*path, "shares"), message, "shares: [0.25, 0.5, 1]")
    if step.metric in NO_LEARNING_CURVE or (str(step.metric).startswith(("OKS-", PCK)) and draft.task != "pose"):
        message = f"`{step.metric}` follows no learning curve that could be continued"
        source.add_problem((*path, "metric"), message, "mAP50, mAP50-95, recall …")
    if stage is not None and stage.decide:
        message = "the arm has decision points, which would stop its parts at different epochs"
        source.add_problem(path, message, "an arm without `decide`")
    if step.margin is not None and "worth" in draft.arm_names:
        message = "an arm is called `worth`, so a condition could not name this step"
        source.add_problem((*path, "margin"), message, "another name for the arm")
    if step.on is None:
        return
    require_unlocked_splits(draft, [step.on], (*path, "on"), source)
    if stage is not None and step.on == f"{stage.data}.train":
        source.add_problem((*path, "on"), "the amounts would be measured on what they were trained on", "val")


def _order(draft: PartialStudy, source: Source) -> None:
    """Check that a gate about a trained arm comes after the step that trains it."""
    trained: set[str] = set()
    for index, step in draft.flow.items():
        if step.step == "train":
            trained |= set(step.arms if step.arms is not None else draft.arm_names)
        for name in step.arms or () if step.step == "export" else ():
            if isinstance(draft.arms.get(name), list) and name not in trained:
                message = f"export needs the arm `{name}`, which no step before it trains"
                source.add_problem(("flow", index), message, "put `train` before the export")
        for gate in draft.expanded_gates.get(step.step, {}).values():
            for arm in (*(candidates(gate.arm) or (gate.arm,)), gate.treatment, gate.control):
                if arm is not None and isinstance(draft.arms.get(arm), list) and arm not in trained:
                    message = f"the gate `{step.step}` needs the arm `{arm}`, which no step before it trains"
                    source.add_problem(("flow", index), message, "put `train` before the gate")


def _budget(draft: PartialStudy, source: Source) -> None:
    budget = draft.budget
    if budget.get("usd") and not budget.get("usd_per_hour") and not budget.get("gpu_hours"):
        message = "a ceiling in money needs `usd_per_hour`, or it cannot be kept"
        source.add_problem(("budget", "usd"), message, "what an hour of the machine costs, or give `gpu_hours` instead")


def _seeds(draft: PartialStudy, source: Source) -> None:
    for index, seed in enumerate(draft.seeds):
        if seed in draft.seeds[:index]:
            source.add_problem(("seeds", index), f"the seed {seed} is given twice", "the same seed gives the same run")


def _log(draft: PartialStudy, source: Source) -> None:
    secret = [name for name, dataset in draft.datasets.items() if dataset.confidential]
    if secret and "wandb" in draft.log:
        message = f"`{secret[0]}` is confidential, and Weights & Biases is another's machine"
        source.add_problem(("log", draft.log.index("wandb")), message, "tensorboard and mlflow can stay on this one")

"""Check gates: their arms, splits, metrics, thresholds and margins, by themselves and against the study."""

from __future__ import annotations

from liftgate.study.gate_keys import ClaimKeys, GateKeys, ThresholdKeys
from liftgate.study.partial_study import PartialStudy, require_known, require_split, require_unlocked_splits
from liftgate.study.value_types import candidates
from liftgate.study.vocabulary import (
    DIFFERENCES,
    EXPORT_FORMATS,
    EXPORT_PRECISIONS,
    LOWER_IS_BETTER,
    PCK,
    SCREENING,
)
from liftgate.study.yaml_keys import TrainedKeys
from liftgate.study.yaml_source import Path, Source
from liftgate.suggestions import suggestion


def check_gates(draft: PartialStudy, source: Source) -> None:
    """Add a problem to `source` for each mistake in a gate."""
    for name, gate in draft.gates.items():
        path: Path = ("gates", name)
        for metric in (gate.metric, *(claim.metric for claim in gate.claims)):
            if metric is not None and metric.startswith(("OKS-", PCK)) and draft.task != "pose":
                source.add_problem(
                    path, f"`{metric}` is a metric of keypoints, and the task is {draft.task}", "task: pose"
                )
        require_split(draft, gate.on, (*path, "on"), source)
        if gate.published is not None and gate.rule != "point":
            source.add_problem((*path, "published"), "only a point rule is replayed", "rule: point")
        _screening(draft, gate, path, source)
        _label_errors(gate, path, source)
        if gate.ablation is not None:
            _ablation_gate(draft, gate, path, source)
            continue
        compares = any(arms is not None for arms in (gate.treatment, gate.treatments, gate.control))
        if gate.formats is not None or gate.precisions is not None:
            _exports(draft, gate, path, source)
            continue
        claims = gate.arm is not None or bool(gate.claims)
        if compares and claims:
            source.add_problem(
                path, "a gate compares two arms or claims numbers of one arm, not both", "make two gates"
            )
        elif compares:
            _comparison(draft, gate, path, source)
        elif claims:
            _claims(draft, gate, path, source)
        else:
            hint = "treatment, control, metric and margin; or arm and claims; or arm, formats and margin"
            source.add_problem(path, "the gate has neither arms to compare nor an arm to make claims about", hint)


def _label_errors(gate: GateKeys, path: Path, source: Source) -> None:
    """Check that doubt about labels is given only where it can be allowed for."""
    here: Path = (*path, "label_errors")
    if gate.label_errors is None or gate.formats is not None:
        return
    if gate.arm is not None or gate.claims:
        source.add_problem(here, "wrong labels are allowed for in comparisons of two arms", "treatment and control")
    elif gate.rule != "interval":
        source.add_problem(here, "wrong labels widen an interval, and the rule is point", "rule: interval")
    elif gate.metric in SCREENING or (gate.metric or "").startswith(("OKS-", PCK)):
        source.add_problem(here, f"wrong labels are not allowed for in `{gate.metric}`, only in metrics of boxes")


def _ablation_gate(draft: PartialStudy, gate: GateKeys, path: Path, source: Source) -> None:
    here: Path = (*path, "ablation")
    if require_known(source, here, str(gate.ablation), "arm", draft.names["arms"]):
        arm = draft.arms_as_written.get(str(gate.ablation))
        if arm is not None and not (isinstance(arm, TrainedKeys) and arm.ablate):
            source.add_problem(here, f"the arm `{gate.ablation}` has no `ablate`", "ablate: {fliplr: [0, 0.5]}")
    if gate.metric is None:
        source.add_problem(path, "a comparison needs `metric`")
    for key in sorted({"treatment", "treatments", "control", "differ", "arm", "claims"} & gate.model_fields_set):
        source.add_problem((*path, key), f"`ablation` already determines what is compared, so remove `{key}`")


def _screening(draft: PartialStudy, gate: GateKeys, path: Path, source: Source) -> None:
    """Check image-level metrics: they need threats and a threshold, which is not chosen on the gate's own split."""
    of_images = [m for m in (gate.metric, *(claim.metric for claim in gate.claims)) if m in SCREENING]
    if of_images and not gate.threats:
        source.add_problem(
            path, f"`{of_images[0]}` is of whole images: `threats` names the classes that are one", "threats: [gun]"
        )
    if gate.threats and not of_images:
        source.add_problem(
            (*path, "threats"), "no metric of this gate is of whole images", f"metrics: {', '.join(SCREENING)}"
        )
    if gate.threshold is not None and not gate.threats:
        source.add_problem((*path, "threshold"), "a threshold is of images with `threats`", "threats: [gun]")
    if gate.threats and gate.threshold is None and set(of_images) - {"AUC"}:
        hint = "threshold: {on: bench.val, by: f1}, or a number"
        source.add_problem(path, "from which score on is an image flagged? `threshold` is missing", hint)
    if not isinstance(rule := gate.threshold, ThresholdKeys):
        return
    here: Path = (*path, "threshold", "on")
    require_unlocked_splits(draft, [rule.on], here, source)
    if rule.on == gate.on:
        source.add_problem(
            here, f"`{rule.on}` is where it judges: chosen there, a threshold flatters", "choose it on val"
        )
    if (rule.by == "f1") != (rule.target is None):
        verb = "takes no" if rule.by == "f1" else "needs a"
        source.add_problem((*path, "threshold"), f"the rule {rule.by} {verb} `target`", "by: recall, target: 0.9")


def _comparison(draft: PartialStudy, gate: GateKeys, path: Path, source: Source) -> None:
    for key in ("treatment", "control", "metric"):
        if getattr(gate, key) is None and not (key == "treatment" and gate.treatments):
            source.add_problem(path, f"a comparison needs `{key}`")
    if gate.treatment is not None and gate.treatments is not None:
        source.add_problem((*path, "treatments"), "`treatment` is there already", "keep one of the two keys")
    for index, arm in enumerate(gate.treatments or ()):
        require_known(source, (*path, "treatments", index), arm, "arm", draft.arm_names)
        if arm == gate.control or arm in (gate.treatments or ())[:index]:
            source.add_problem((*path, "treatments", index), f"`{arm}` would be compared with itself, or twice")
    _margin(gate, path, source)
    for key in ("treatment", "control"):
        arm = getattr(gate, key)
        if arm is not None:
            require_known(source, (*path, key), arm, "arm", draft.arm_names)
    if gate.treatment is not None and gate.treatment == gate.control:
        source.add_problem((*path, "control"), f"treatment and control are the same arm `{gate.control}`")
    for index, word in enumerate(gate.differ):
        if not word.startswith("recipe."):
            require_known(source, (*path, "differ", index), word, "difference", (*DIFFERENCES, "recipe.NAME"))


def _margin(gate: GateKeys, path: Path, source: Source) -> None:
    if gate.metric == PCK:
        hint = "OKS-mAP50-95 compares; a claim may be of PCK: {metric: PCK@0.05, at_least: 0.8}"
        source.add_problem((*path, "metric"), "PCK is measured of each arm and not compared", hint)
    if gate.metric == "ms_per_image":
        source.add_problem(
            (*path, "metric"), "the time of a prediction is no sample to compare", "make it a claim: at_most"
        )
    if gate.claim == "equal" and not (gate.margin > 0 and gate.rule == "interval" and gate.level > 0.5):
        hint = "margin: 0.01, with rule: interval and a level above 0.5"
        source.add_problem((*path, "claim"), "to be equal means to differ by less than a margin above 0", hint)


def _claims(draft: PartialStudy, gate: GateKeys, path: Path, source: Source) -> None:
    if gate.arm is None:
        source.add_problem(path, "claims need `arm`", suggestion("", draft.names["arms"]))
    elif some := candidates(gate.arm):
        _winner(draft, gate, some, (*path, "arm"), source)
    else:
        require_known(source, (*path, "arm"), gate.arm, "arm", draft.arm_names)
    if not gate.claims:
        source.add_problem(path, "a gate about one arm needs `claims`", "claims: [{metric: recall, at_least: 0.95}]")
    for index, claim in enumerate(gate.claims):
        _direction(claim, (*path, "claims", index), source)
    for key in sorted({"metric", "margin", "differ", "claim"} & gate.model_fields_set):
        source.add_problem((*path, key), f"`{key}` belongs to a comparison", "claims have their own `metric`")


def _winner(draft: PartialStudy, gate: GateKeys, arms: tuple[str, ...], path: Path, source: Source) -> None:
    """Check that trainings can rank the arms: on one val, by one metric, and not where the winner is judged."""
    ranked: dict[tuple[str, str | None], str] = {}
    for index, name in enumerate(arms):
        if name in arms[:index]:
            source.add_problem(path, f"`{name}` is named twice", "winner(phase1, phase2)")
        elif require_known(source, path, name, "arm", draft.arm_names) and name in draft.arms:
            stages = draft.arms[name]
            if not isinstance(stages, list):
                message = f"`{name}` is not trained: it has no figures on val by which it could win"
                source.add_problem(path, message, "leave it out; a gate with `control:` compares with it")
                continue
            written, last = draft.arms_as_written.get(name), stages[-1]
            usual = written.select if isinstance(written, TrainedKeys) else None
            parts = last.data if isinstance(last.data, list) else []
            val = last.val or (parts[-1].dataset if parts else str(last.data))
            ranked.setdefault((val, last.select or usual), name)
    if len(ranked) > 1:
        (one, other, *_) = ranked.values()
        message = f"`{one}` and `{other}` are validated on other images or by other metrics, which rank nothing"
        source.add_problem(path, message, "the same `val` and `select` for all of them")
    for val, _ in ranked:
        if gate.on == f"{val}.val":
            message = f"the winner is chosen on `{gate.on}`: judged there as well, it looks better than it is"
            source.add_problem((*path[:-1], "on"), message, f"on: {val}.test")
            return


_NOT_OF_EXPORTS = frozenset(
    ("treatment", "treatments", "control", "metric", "differ", "claims", "threats", "threshold", "by", "published")
) | {"label_errors"}


def _exports(draft: PartialStudy, gate: GateKeys, path: Path, source: Source) -> None:
    """Check a gate that exports of an arm are equal to its weights."""
    if gate.formats is None:
        source.add_problem((*path, "precisions"), "precisions are of `formats`", "formats: [onnx]")
    if gate.arm is None:
        source.add_problem(path, "exports are of an arm: `arm` is missing", suggestion("", draft.names["arms"]))
    elif some := candidates(gate.arm):
        _winner(draft, gate, some, (*path, "arm"), source)
    else:
        require_known(source, (*path, "arm"), gate.arm, "arm", draft.arm_names)
    for key, words, known in (
        ("formats", gate.formats, EXPORT_FORMATS),
        ("precisions", gate.precisions, EXPORT_PRECISIONS),
    ):
        for index, word in enumerate(words or ()):
            require_known(source, (*path, key, index), word, key.removesuffix("s"), known)
    for key in sorted(_NOT_OF_EXPORTS & gate.model_fields_set):
        source.add_problem((*path, key), f"`{key}` has no meaning for exports, so remove it")
    if gate.forget_at_most is not None:
        source.add_problem((*path, "forget_at_most"), "an export forgets nothing that its weights know")
    if not (gate.margin > 0 and gate.rule == "interval" and gate.level > 0.5):
        hint = "margin: 0.01, with rule: interval and a level above 0.5"
        source.add_problem((*path, "margin"), "to be equal means to differ by less than a margin above 0", hint)


def _direction(claim: ClaimKeys, path: Path, source: Source) -> None:
    less = claim.metric in LOWER_IS_BETTER
    wanted, other = ("at_most", "at_least") if less else ("at_least", "at_most")
    if getattr(claim, other) is not None:
        why = "less" if less else "more"
        source.add_problem((*path, other), f"of `{claim.metric}` {why} is better: `{other}` would reward the worse")
    elif getattr(claim, wanted) is None:
        source.add_problem(path, f"the claim has no number: the key `{wanted}` is missing")

"""From a verdict back to recipe, weights and data, and what two arms were trained with differently."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from liftgate.checks.arm_differences import is_declared
from liftgate.hashing import content_hash
from liftgate.ledger.last_run import LastRun, StepInputs, TrainedStage
from liftgate.ledger.records import StepEntry
from liftgate.ledger.results import ExportResult, GateResult, PredictResult, TrainResult
from liftgate.reporting.content import LineageNode, SettingDifference
from liftgate.reporting.number_format import format_setting
from liftgate.study.records import Gate

_NODE_KINDS = {"gate": "verdict", "evaluate": "evaluation"}
"""Kind of a step → kind of its node, where they differ"""
# Arguments as recorded by a trainer that are left out: where it wrote, and what other rows of the table show.
_NOT_SETTINGS = frozenset(
    "data model name project save_dir resume exist_ok mode seed task device pretrained".split()  # noqa: SIM905
)


def verdict_lineage(verdict: StepEntry, run: LastRun) -> LineageNode:
    """Return the way back from the step of a gate, as a tree.

    verdict → gate, comparison → evaluations → predictions → data and run → recipe, weights, data, split
    Of a gate about exports: verdict → gate, predictions of weights and exports, exports → run and so on
    """
    result = GateResult.from_body(verdict.result)
    gate = LineageNode("gate", verdict.name, result.gate_hash)
    evaluations = tuple(_node(step, run) for step in run.needs(verdict) if step.kind == "evaluate")
    name = f"{verdict.name}: {result.word}"
    if result.exports:
        stored = {one.path: one.sha256 for row in result.exports for one in row.predictions}
        found = (LineageNode("predictions", path.rpartition("/")[2], sha256) for path, sha256 in stored.items())
        exports = (_node(step, run) for step in run.needs(verdict) if step.kind == "export")
        return LineageNode("verdict", name, verdict.key, (gate, *found, *exports))
    if result.comparison is None:
        return LineageNode("verdict", name, verdict.key, (gate, *evaluations))
    comparison = LineageNode("comparison", "treatment − control", content_hash(result.comparison), evaluations)
    return LineageNode("verdict", name, verdict.key, (gate, comparison))


def setting_differences(
    gate: Gate, control: Sequence[TrainedStage], treatment: Sequence[TrainedStage]
) -> tuple[SettingDifference, ...]:
    """Return what the last stages of two arms were trained with differently, as the trainer reports it.

    Args:
        gate: names the settings that may differ.
        control: its stages of one seed, in order; empty: it was not trained.
        treatment: the same.

    Returns:
        Nothing where one arm was not trained: the arms' descriptions then show what differs.
    """
    if not control or not treatment:
        return ()
    old, new = _settings(control), _settings(treatment)
    return tuple(
        SettingDifference(
            name,
            format_setting(old.get(name)),
            format_setting(new.get(name)),
            is_declared(gate, name) if gate.differ else None,
        )
        for name in dict.fromkeys([*old, *new])
        if old.get(name) != new.get(name)
    )


def _settings(stages: Sequence[TrainedStage]) -> dict[str, object]:
    last = stages[-1]
    inputs = StepInputs.from_body(last.step.inputs)
    used = last.result.training_facts.arguments or inputs.recipe or {}
    recipe = {f"recipe.{name}": value for name, value in sorted(used.items()) if name not in _NOT_SETTINGS}
    first = StepInputs.from_body(stages[0].step.inputs)
    return {"stages": len(stages), "data": inputs.data, "weights": first.weights, **recipe}


def _node(step: StepEntry, run: LastRun) -> LineageNode:
    below = tuple(_node(need, run) for need in run.needs(step))
    name = step.name.partition(" ")[2] or step.name
    if step.kind == "predict":
        sha256 = PredictResult.from_body(step.result).sha256
        return LineageNode("predictions", name, sha256, (*below, *_given_files(step)))
    if step.kind == "train":
        recipe = StepInputs.from_body(step.inputs).recipe or {}
        node = LineageNode("recipe", _recipe_text(recipe), content_hash(recipe))
        run_name = TrainResult.from_body(step.result).run
        return LineageNode("run", run_name, step.key, (*below, node, *_given_files(step)))
    if step.kind == "export":
        made = ExportResult.from_body(step.result).files
        files = (LineageNode("file", one.path.partition("/")[2], one.sha256) for one in made)
        return LineageNode("export", name, step.key, (*below, *files, *_given_files(step)))
    return LineageNode(_NODE_KINDS.get(step.kind, step.kind), name, step.key, below)


def _given_files(step: StepEntry) -> list[LineageNode]:
    inputs = StepInputs.from_body(step.inputs)
    given = (("weights", "as given", inputs.weights), ("data", "images, labels, groups, split", inputs.data))
    return [LineageNode(kind, name, value) for kind, name, value in given if value is not None]


def _recipe_text(recipe: Mapping[str, object]) -> str:
    return ", ".join(f"{name} {format_setting(value)}" for name, value in recipe.items()) or "the trainer's defaults"

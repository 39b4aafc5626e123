"""The way back from a verdict, and what two arms were trained with differently."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from liftgate.hashing import content_hash
from liftgate.ledger.last_run import LastRun, TrainedStage, trained_stages
from liftgate.ledger.records import StepEntry
from liftgate.ledger.results import GateResult, PredictResult, TrainResult
from liftgate.reporting.content import LineageNode
from liftgate.reporting.lineage import setting_differences, verdict_lineage
from liftgate.study.records import Gate

GATE = Gate("lift", "bench.test", metric="mAP50", treatment="new", control="old", differ=("recipe.fliplr",))


def step(arm: str, args: Mapping[str, Any], data: str = "d" * 64) -> StepEntry:
    name = f"train {arm} seed 0"
    inputs = {"weights": "w" * 64, "data": data, "recipe": dict(args), "seed": 0}
    facts = {"args": {**args, "save_dir": f"/somewhere/{arm}", "data": f"/trees/{arm}.yaml"}}
    result = TrainResult(f"run-{arm}", arm, 1, 0, "best.pt", "last.pt", "b" * 64, 3, (), facts)
    return StepEntry(name, "train", content_hash(name), inputs, result.to_body(), 60.0)


def run(arm: str, args: Mapping[str, Any], data: str = "d" * 64) -> TrainedStage:
    return trained_stages([step(arm, args, data)])[0]


def test_the_way_back_goes_from_the_verdict_to_recipe_weights_and_data() -> None:
    steps: list[StepEntry] = []
    for arm in ("old", "new"):
        trained = step(arm, {"epochs": 3})
        detections = PredictResult(arm, 0, "bench.test", "p.json", content_hash([arm, "detections"]), {})
        inputs = {"weights": None, "data": "d" * 64}
        predicted = StepEntry(
            f"predict {arm}", "predict", f"p-{arm}", inputs, detections.to_body(), needs={"t": trained.key}
        )
        evaluated = StepEntry(f"evaluate {arm}", "evaluate", f"e-{arm}", {}, {}, needs={predicted.name: predicted.key})
        steps += [trained, predicted, evaluated]
    needed = {one.name: one.key for one in steps}  # a gate needs evaluations, predictions and runs alike
    result = GateResult("lift", "h" * 64, "PASS", comparison={"delta": 0.1})
    verdict = StepEntry("lift", "gate", "g", {}, result.to_body(), needs=needed)

    root = verdict_lineage(verdict, LastRun(None, (*steps, verdict)))

    def walk(node: LineageNode) -> Iterator[tuple[str, ...]]:
        yield (node.kind,)
        for child in node.made_from:
            yield from ((node.kind, *path) for path in walk(child))

    paths = list(walk(root))
    chain = ("verdict", "comparison", "evaluation", "predictions", "run")
    for end in ("recipe", "weights", "data"):
        assert paths.count((*chain, end)) == 2
    assert paths.count((*chain[:-1], "data")) == 2, "what was measured on need not be what was trained on"
    assert ("verdict", "gate") in paths
    assert root.name == "lift: PASS"


def test_only_what_differs_is_listed_and_where_a_run_wrote_is_no_difference() -> None:
    found = setting_differences(
        GATE, [run("old", {"fliplr": 0.5, "lr0": 0.01})], [run("new", {"fliplr": 0.0, "lr0": 0.01})]
    )
    assert [(one.field, one.control, one.treatment, one.declared) for one in found] == [
        ("recipe.fliplr", "0.5", "0", True)
    ]


def test_what_the_gate_did_not_declare_is_marked() -> None:
    found = setting_differences(GATE, [run("old", {"epochs": 3})], [run("new", {"epochs": 5}, data="e" * 64)])
    assert {one.field: one.declared for one in found} == {"recipe.epochs": False, "data": False}


@pytest.mark.parametrize(("differ", "declared"), [((), None), (("recipe",), True), (("stages",), False)])
def test_what_is_declared_is_what_the_verdict_takes_for_declared(
    differ: tuple[str, ...], declared: bool | None
) -> None:
    gate = Gate("lift", "bench.test", metric="mAP50", treatment="new", control="old", differ=differ)
    found = setting_differences(gate, [run("old", {"epochs": 3})], [run("new", {"epochs": 5})])
    assert [one.declared for one in found] == [declared]


def test_a_setting_that_one_arm_lacks_is_said_to_be_not_set() -> None:
    found = setting_differences(GATE, [run("old", {})], [run("new", {"fliplr": 0.0})])
    assert [(one.control, one.treatment) for one in found] == [("not set", "0")]


def test_an_arm_that_was_not_trained_has_no_settings_to_compare() -> None:
    assert setting_differences(GATE, [], [run("new", {"epochs": 3})]) == ()

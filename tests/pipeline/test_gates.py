"""Gates beyond "better than the control": whole images, several numbers at once, equality, several treatments."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from liftgate import api
from liftgate.errors import UsageError
from liftgate.study.study_file import load

Write = Callable[..., Path]
STAGE = {"weights": "start.yaml", "data": "scenes"}
ARMS: dict[str, Any] = {
    "long": [{**STAGE, "recipe": {"epochs": 6, "lr0": 0.5}}],
    "again": [{**STAGE, "recipe": {"epochs": 6, "lr0": 0.5}}],
    "short": [{**STAGE, "recipe": {"epochs": 1, "lr0": 0.0001}}],
}
CLASS = "red"


def test_a_production_gate_holds_several_numbers_at_a_threshold_that_val_chose(write_study: Write) -> None:
    claims = [
        {"metric": "mAP50", "at_least": 0.5},
        {"metric": "accuracy", "at_least": 0.6},
        {"metric": "detection_rate", "at_least": 0.7},
        {"metric": "false_alarm_rate", "at_most": 0.2},
    ]
    gate = {"arm": "long", "on": "scenes.test", "claims": claims, "threats": [CLASS], "rule": "point"}
    gate["threshold"] = {"on": "scenes.val", "by": "f1"}
    study = write_study(arms={"long": ARMS["long"]}, gates={"production": gate}, flow=["train", "production"])
    result = api.run(study).verdicts["production"]
    rows = {row["metric"]: row for row in result["evidence"]}
    assert set(rows) == {claim["metric"] for claim in claims}
    assert rows["accuracy"]["value"] is not None and rows["accuracy"]["n_images"] > 0
    assert result["word"] == min((str(row["word"]) for row in rows.values()), key=("FAIL", "MARGINAL", "PASS").index)
    (evaluated,) = [body for body in _steps(study) if body["kind"] == "evaluate"]
    assert evaluated["result"]["screening"]["chosen"].startswith("by f1 on")
    assert {body["result"]["on"] for body in _steps(study) if body["kind"] == "predict"} == {
        "scenes.test",
        "scenes.val",
    }


def test_a_comparison_of_whole_images_takes_each_arm_at_its_own_threshold(write_study: Write) -> None:
    gate = {"metric": "accuracy", "treatment": "long", "control": "short", "on": "scenes.test", "threats": [CLASS]}
    gate["threshold"] = {"on": "scenes.val", "by": "f1"}
    study = write_study(
        arms={"long": ARMS["long"], "short": ARMS["short"]}, gates={"lift": gate}, flow=["train", "lift"]
    )
    result = api.run(study).verdicts["lift"]
    assert result["comparison"]["metric"] == "accuracy"
    assert 0 <= result["comparison"]["control"] <= 1 and result["word"] in ("PASS", "MARGINAL", "FAIL")


def test_a_gate_leaves_out_images_whose_labels_could_not_be_read(write_study: Write, tmp_path: Path) -> None:
    gates = {
        "lift": {"metric": "mAP50", "treatment": "long", "control": "short", "on": "scenes.test"},
        "enough": {
            "arm": "long",
            "on": "scenes.test",
            "claims": [{"metric": "mAP50", "at_least": 0.1}],
            "rule": "point",
        },
    }
    study = write_study(
        arms={name: ARMS[name] for name in ("long", "short")}, gates=gates, flow=["train", "lift", "enough"]
    )
    sound = api.run(study)
    keys = {body["key"] for body in _steps(study)}
    assert not [body for body in _steps(study) if "left_out" in body["inputs"]], "keys of 0.1.0 stay"
    assert not [one for verdict in sound.verdicts.values() for one in verdict["caveats"] if "left out" in one]
    (tmp_path / "scenes" / "labels" / "test003.txt").write_text("0,0.5,0.5,0.2,0.2\n")
    found = api.run(study).verdicts
    note = "1 of 12 images of the truth are left out: no object of their labels could be read, such as images/test003"
    for verdict in found.values():
        assert [one for one in verdict["caveats"] if one.startswith(note)], verdict["caveats"]
        assert {row["n_images"] for row in verdict["evidence"]} == {11}
    evaluated = [body for body in _steps(study) if body["kind"] == "evaluate" and body["key"] not in keys]
    assert [body["inputs"]["left_out"] for body in evaluated] == [{"scenes.test": 1}] * len(evaluated) != []


def test_equal_and_several_treatments_are_gates_of_their_own(write_study: Write) -> None:
    gates = {
        "same": {"metric": "mAP50", "treatment": "again", "control": "long", "on": "scenes.test", "claim": "equal"},
        "lift": {"metric": "mAP50", "treatments": ["long", "again"], "control": "short", "on": "scenes.test"},
    }
    gates["same"]["margin"] = 0.02
    study = write_study(arms=ARMS, gates=gates, flow=["train", "same", "lift"])
    loaded = load(study)
    assert [(gate.name, gate.treatment, gate.level) for gate in loaded.gates] == [
        ("same", "again", 0.95),
        ("lift-long", "long", 0.975),
        ("lift-again", "again", 0.975),
    ]
    result = api.run(study)
    page = " ".join(result.report.read_text().split())
    assert "do again and long differ in mAP50 by less than 0.02" in page
    assert list(result.verdicts) == ["same", "lift-long", "lift-again"]
    same = result.verdicts["same"]
    assert same["word"] == "MARGINAL" and "not established" in same["sentence"], (
        "two runs alike in every bit never vary"
    )
    assert same["comparison"]["level"] == pytest.approx(0.9) and same["comparison"]["claim"] == "equal"


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"metric": "accuracy"}, "`threats` names the classes that are one"),
        ({"metric": "accuracy", "threats": ["red"]}, "`threshold` is missing"),
        ({"threats": ["red"], "threshold": 0.5}, "no metric of this gate is of whole images"),
        ({"threshold": 0.5}, "a threshold is of images with `threats`"),
        ({"metric": "accuracy", "threats": ["red"], "threshold": {"on": "scenes.test"}}, "flatters"),
        (
            {"metric": "accuracy", "threats": ["red"], "threshold": {"on": "scenes.val", "by": "recall"}},
            "needs a `target`",
        ),
        ({"metric": "accuracy", "threats": ["red"], "threshold": {"on": "other.val"}}, "other"),
        ({"metric": "accuracy", "threats": ["red"], "threshold": {"of": "scenes.val"}}, "unknown key"),
        ({"metric": "ms_per_image"}, "no sample to compare"),
        ({"claim": "equal", "margin": 0.0}, "margin above 0"),
        ({"claim": "equal", "rule": "point"}, "margin above 0"),
        ({"claim": "same"}, "expected better"),
        ({"treatments": ["long", "short"]}, "keep one of the two keys"),
        ({"treatment": None, "treatments": ["long", "short"]}, "compared with itself"),
        ({"treatment": None, "treatments": ["long", "lnog"]}, "lnog"),
    ],
)
def test_a_gate_that_makes_no_sense_is_told_before_anything_runs(
    write_study: Write, changes: dict[str, Any], says: str
) -> None:
    gate = {"metric": "mAP50", "treatment": "long", "control": "short", "on": "scenes.test", "margin": 0.05, **changes}
    gate = {key: value for key, value in gate.items() if value is not None}
    with pytest.raises(UsageError) as error:
        load(write_study(gates={"lift": gate}, flow=["train", "lift"]))
    assert says in str(error.value)


def _steps(study: Path) -> list[dict[str, Any]]:
    from liftgate.ledger import Ledger
    from liftgate.ledger.workspace import Workspace

    return [dict(entry.body) for entry in Ledger(Workspace(load(study)).ledger).entries("step")]


def test_a_claim_about_time_is_refused_before_anything_is_trained(write_study: Callable[..., Path]) -> None:
    claims = {"arm": "long", "on": "scenes.test", "claims": [{"metric": "ms_per_image", "at_most": 20.0}]}
    path = write_study(gates={"fast": claims}, flow=["train", "fast"])
    for verb in (api.plan, api.run):
        with pytest.raises(UsageError, match="ms_per_image is not measured") as refused:
            verb(path)
        assert "gates.fast" in str(refused.value)


def test_the_exit_code_is_that_of_the_answer_and_not_of_the_last_gate(write_study: Callable[..., Path]) -> None:
    gates = {
        "hopeless": {"arm": "short", "on": "scenes.test", "claims": [{"metric": "mAP50", "at_least": 0.99}]},
        "lift": {"metric": "mAP50", "treatment": "long", "control": "short", "on": "scenes.test", "margin": 0.05},
    }
    path = write_study(gates=gates, flow=["train", "hopeless", "lift"])
    result = api.run(path)
    assert result.verdicts["hopeless"]["word"] == "FAIL"
    assert result.exit_code == 10, "the worst word of the last decision"
    (status,) = api.status([path])
    assert (status.answer, status.answered_by) == ("FAIL", "hopeless")
    words = {"PASS": 0, "FAIL": 10, "MARGINAL": 11}
    for named in ("lift", "hopeless"):
        again = api.run(path, overrides={"answer": named})
        word = str(again.verdicts[named]["word"])
        assert again.exit_code == words[word]
        (status,) = api.status([path])
        assert (status.answer, status.answered_by) == (word, named)
        page, folder = again.report.read_text(), again.report.parent / "report"
        assert f"<title>{word}: " in page
        first = page.partition('class="verdict ')[2]
        assert first.startswith(word) and f"Verdict of gate {named}" in first[:200], "the headline"
        assert (folder / "report.md").read_text().partition("\n## ")[2].startswith(f"{word}: ")
        assert (folder / "verdicts.csv").read_text().splitlines()[1].startswith(f"{named},")


def test_a_target_counts_what_the_treatment_adds_to_every_control(write_study: Callable[..., Path]) -> None:
    stage = {"weights": "start.yaml", "data": "scenes"}
    good, poor = {**stage, "recipe": {"epochs": 6, "lr0": 0.5}}, {**stage, "recipe": {"epochs": 1, "lr0": 0.0001}}
    comparison = {"metric": "mAP50", "treatment": "a", "on": "scenes.test", "rule": "point", "margin": 0.001}
    gates = {
        "kill": {"arm": "a", "on": "scenes.test", "rule": "point", "claims": [{"metric": "mAP50", "at_least": 0.001}]},
        "over_v1": {**comparison, "control": "v1"},
        "over_same": {**comparison, "control": "b"},
    }
    path = write_study(arms={"v1": [poor], "a": [good], "b": [good]}, gates=gates, flow=["train", "kill"])
    verdict = api.run(path).verdicts["kill"]
    assert verdict["word"] == "FAIL" and "the control explains it" in str(verdict["sentence"])


def test_a_verdict_says_that_training_may_know_what_it_is_judged_on(write_study: Write, tmp_path: Path) -> None:
    study, images = write_study(), tmp_path / "scenes" / "images"
    again = BytesIO()
    with Image.open(images / "train000.png") as image:
        image.convert("RGB").save(again, "JPEG", quality=85)
    with Image.open(again) as image:
        image.save(images / "test000.png")
    caveats = api.run(study).verdicts["lift"]["caveats"]
    assert "training may know images of scenes.test: splits.leak_near" in caveats


def test_a_verdict_is_silent_about_copies_where_there_are_none(write_study: Write) -> None:
    assert not any("training may know" in one for one in api.run(write_study()).verdicts["lift"]["caveats"])


def test_a_gate_may_allow_for_wrong_labels_and_says_what_it_would_be_without(write_study: Write) -> None:
    gates: dict[str, Any] = {"sure": {"metric": "recall", "treatment": "long", "control": "short", "on": "scenes.test"}}
    gates["doubtful"] = gates["sure"] | {"label_errors": 0.2}
    study = write_study(
        arms={name: ARMS[name] for name in ("long", "short")}, gates=gates, flow=["train", "sure", "doubtful"]
    )
    found = api.run(study).verdicts
    sure, doubtful = found["sure"], found["doubtful"]
    assert "label_errors" not in sure["comparison"]
    doubt = doubtful["comparison"]["label_errors"]
    assert doubt["verdict"] == sure["word"] and doubt["rate"] == 0.2 and doubt["n_wrong"] > 0
    low, high = doubtful["comparison"]["interval"]
    assert low < sure["comparison"]["interval"][0] and high >= sure["comparison"]["interval"][1]
    assert "Up to 20% of the labels of each class may be wrong (as the gate says)" in doubtful["sentence"]

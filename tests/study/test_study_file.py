"""study.yaml at the door: what loads, and what each mistake says."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from liftgate.errors import StudyError
from liftgate.hashing import content_hash
from liftgate.study.records import Arm, Claim, Decision, Expectation, FlowStep, Gate, Part, Stage, Study
from liftgate.study.study_file import load
from liftgate.study.study_parser import InvalidStudy, parse
from study.texts import BUILT, DESIGN


def mistakes(text: str, **overrides: str) -> str:
    """Everything that is said about a study that does not load."""
    with pytest.raises(InvalidStudy) as caught:
        parse(dedent(text), overrides={key.replace("__", "."): value for key, value in overrides.items()})
    return str(caught.value)


def with_line(old: str, new: str) -> str:
    assert BUILT.count(old) == 1, f"{old!r} must stand once in the study"
    return BUILT.replace(old, new)


def test_the_study_of_the_design_loads() -> None:
    assert [step.name for step in parse(DESIGN).flow] == ["check", "probe", "train", "lift", "export"]


def test_a_step_that_is_not_built_is_named() -> None:
    said = mistakes(DESIGN.replace("export]", "shadow]"))
    assert said.startswith("flow.4: `shadow` is not built yet") and "(study.yaml:15)" in said
    assert "mistakes in" not in said, "and nothing else"


@pytest.mark.parametrize(
    ("step", "said"),
    [
        ("{step: export, formats: [onx]}", "did you mean onnx"),
        ("{step: export, precisions: [int4]}", "int8"),
        ("{step: export, arms: [nobody]}", "nobody"),
        ("{step: report, formats: [onnx]}", "only export takes `formats`"),
    ],
)
def test_what_an_export_step_may_say(step: str, said: str) -> None:
    assert said in mistakes(DESIGN.replace("export]", f"{step}]"))


def test_an_arm_is_trained_before_it_is_exported() -> None:
    early = DESIGN.replace("[check, probe, train, lift, export]", "[{step: export, arms: [single]}, train, lift]")
    assert "put `train` before the export" in mistakes(early)


def test_formats_of_an_export_change_the_question_and_their_absence_does_not() -> None:
    with_formats = parse(DESIGN.replace("export]", "{step: export, formats: [onnx, openvino]}]"))
    assert with_formats.flow[-1].formats == ("onnx", "openvino")
    assert with_formats.content_hash() != parse(DESIGN).content_hash()
    assert content_hash(FlowStep("train")) == content_hash(FlowStep("train", formats=()))


def test_every_word_of_the_design_reaches_its_record() -> None:
    study = parse(BUILT, source=Path("/somewhere/study.yaml"))
    assert (study.name, study.task, study.seeds) == ("cones-two-stage", "detect", (0, 1, 2))
    assert study.dataset("big").licence == "CC-BY-4.0"
    assert (study.dataset("bench").groups, study.dataset("bench").lock) == ("^(?P<group>[^_]+)_", ("test",))
    assert study.arm("single") == Arm(
        "single", (Stage("bench", "yolo12n.pt", {"epochs": 300, "optimizer": "SGD", "lr0": 0.01}),)
    )
    assert [stage.weights for stage in study.arm("two_stage").stages] == ["yolo12n.pt", None]
    assert study.gates == (
        Gate("lift", on="bench.test", metric="mAP50", treatment="two_stage", control="single", margin=0.01),
    )
    assert study.flow == (FlowStep("check"), FlowStep("train"), FlowStep("lift"))
    assert (study.budget.usd, study.budget.gpu_hours) == (200, 120)
    assert study.folder == Path("/somewhere")


def test_an_off_the_shelf_arm_and_a_gate_against_fixed_numbers() -> None:
    study = parse("""\
        study: measure-first
        question: Is the model good enough as it is?
        datasets: {bench: {path: labels.json, images: images, keep: [person]}}
        arms:
          off_the_shelf: {weights: yolov8n.pt}
          tuned: [{weights: yolov8n.pt, data: bench, recipe: epochs=3 optimizer=SGD lr0=1e-3 cos_lr=true}]
        gates:
          good_enough:
            arm: off_the_shelf
            on: bench.test
            claims: [{metric: recall, at_least: 0.95}, {metric: best_confidence_median, at_least: 0.55}]
          lift: {metric: mAP50, treatment: tuned, control: off_the_shelf, on: bench.test, differ: stages}
        flow:
          - baseline
          - good_enough
          - {step: train, when: {good_enough: [FAIL, MARGINAL]}, arms: [tuned]}
          - {step: lift, when: {good_enough: FAIL}}
        """)
    assert study.arm("off_the_shelf") == Arm("off_the_shelf", weights="yolov8n.pt")
    assert study.gates[0].claims == (Claim("recall", 0.95), Claim("best_confidence_median", 0.55))
    assert study.gates[1].differ == ("stages",)
    assert study.flow[2] == FlowStep("train", {"good_enough": ("FAIL", "MARGINAL")}, ("tuned",))
    assert study.flow[3].when == {"good_enough": ("FAIL",)}
    assert study.arm("tuned").stages[0].recipe == {"epochs": 3, "optimizer": "SGD", "lr0": 0.001, "cos_lr": True}


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            "task: detect",
            "task: detct",
            "study.yaml:3: task: expected detect, pose, got 'detct'\n  hint: did you mean detect?",
        ),
        (
            "licence: CC",
            "license: CC",
            "study.yaml:5: datasets.big.license: unknown key\n  hint: did you mean licence?",
        ),
        (
            "control: single",
            "control: singel",
            "study.yaml:14: gates.lift.control: no arm `singel`\n  hint: did you mean single?",
        ),
        ("control: single", "control: two_stage", "gates.lift.control: treatment and control are the same arm"),
        ("control: single, ", "", "gates.lift: a comparison needs `control`"),
        ("on: bench.test", "on: bnech.test", "gates.lift.on: no dataset `bnech`\n  hint: did you mean bench?"),
        (
            "on: bench.test",
            "on: bench",
            "gates.lift.on: expected DATASET.SPLIT, got `bench`\n  hint: for example bench.test",
        ),
        (
            "on: bench.test",
            "on: bench.test.old",
            "gates.lift.on: expected DATASET.SPLIT, got `bench.test.old`\n  hint: for example bench.test",
        ),
        ("metric: mAP50", "metric: map50", "gates.lift.metric: no metric `map50`\n  hint: did you mean mAP50?"),
        ("margin: 0.01", "margin: 0.01, level: 1", "gates.lift.level: expected less than 1, got 1"),
        (
            "margin: 0.01",
            "margin: 0.01, level: 0.05",
            "gates.lift.level: expected greater than or equal to 0.5, got 0.05",
        ),
        ("margin: 0.01", "margin: .nan", "gates.lift.margin: expected a finite number"),
        (
            "margin: 0.01",
            "margin: 0.01, differ: [recipes]",
            "gates.lift.differ.0: no difference `recipes`\n  hint: did you mean recipe?",
        ),
        ("margin: 0.01", "margin: 0.01, arm: single", "not both"),
        (
            "[check, train, lift]",
            "[chekc, train, lift]",
            "flow.0: no step or gate `chekc`\n  hint: did you mean check?",
        ),
        (
            "[check, train, lift]",
            "[check, train, lfit]",
            "flow.2: no step or gate `lfit`\n  hint: did you mean lift?",
        ),
        ("[check, train, lift]", "[check, lift, train]", "needs the arm `two_stage`, which no step before it trains"),
        ("[check, train, lift]", "[{step: train, when: {lift: [FAIL]}}, lift]", "`lift` has no verdict yet"),
        (
            "[check, train, lift]",
            "[train, {step: lift, when: {lfit: [FAIL]}}]",
            "no gate or arm `lfit`\n  hint: did you mean lift?",
        ),
        ("[check, train, lift]", "[train, lift, {step: report, when: {lift: [FIAL]}}]", "did you mean FAIL?"),
        ("[check, train, lift]", "[train, lift, lift]", "the gate `lift` is in the flow twice"),
        ("[check, train, lift]", "[{step: train, arms: [singl]}]", "flow.0.arms.0: no arm `singl`"),
        ("[check, train, lift]", "[]", "flow: "),
        ("data: big", "data: bgi", "arms.two_stage.0.data: no dataset `bgi`\n  hint: did you mean big?"),
        ("weights: yolo12n.pt, data: big", "data: big", "arms.two_stage.0: the first stage needs `weights`"),
        ("patience: 30", "patience: {a: 1}", "arms.two_stage.1.recipe.patience: expected a number, a word or a list"),
        ("patience: 30", "cos_lr: yes", "`yes` is a word here, not a switch\n  hint: write true"),
        ("patience: 30", "seed: 3", "arms.two_stage.1.recipe.seed: `seed` is not a recipe's to set"),
        ("patience: 30", "lr0: .inf", "the key `lr0` is given twice: line 11 and line 11"),
        ("patience: 30", "lrf: .inf", "expected a finite number, got inf"),
        ("usd: 200", "usd: 0", "study.yaml:16: budget.usd: expected more than 0, got 0: it would stop the study"),
        ("gpu_hours: 120", "gpu_hours: -1", "expected more than 0, got -1"),
        (", gpu_hours: 120", "", "budget.usd: a ceiling in money needs `usd_per_hour`"),
        ("seeds: [0, 1, 2]", "seeds: [0, 1, 1]", "study.yaml:12: seeds.2: the seed 1 is given twice"),
        ("seeds: [0, 1, 2]", "seeds: ['0']", "seeds.0: expected"),
        (
            "'^(?P<group>[^_]+)_'",
            "'^([^_]+)_'",
            "datasets.bench.groups: the regular expression must name what it finds: (?P<group>…)",
        ),
        ("'^(?P<group>[^_]+)_'", "'^(?P<group>[^_]+_'", "not a regular expression: missing )"),
        ("'^(?P<group>[^_]+)_'", "fodler", "did you mean folder?"),
        ("lock: [test]", "ratios: [0.7, 0.2, 0.2]", "expected shares that sum to 1, got 1.1"),
        ("lock: [test]", "ratios: [0.7, 0.3]", "datasets.bench.ratios: "),
        ("lock: [test]", "lock: [val]", "`val` cannot be locked: training on `bench` evaluates it"),
        ("lock: [test]", "openings: {test: 2}", "datasets.bench.openings.test: `test` is not locked"),
        ("lock: [test]", "lock: [test], openings: {test: 0}", "datasets.bench.openings.test: expected"),
        ("study: cones-two-stage", "study: ../../etc", "study.yaml:1: study: expected a name of letters"),
        ("study: cones-two-stage\n", "", "the key `study` is missing"),
        (
            "question: Does",
            "question: Does: it",
            "study.yaml:2: not YAML: mapping values are not allowed here\n  hint: put a text that has `: ` in it",
        ),
        ("seeds: [0, 1, 2]", "seeds: [0, 1, 2", "(begun in line 12) expected ',' or ']'"),
        ("lock: [test]", "confidential: yes", "confidential: expected a boolean, got 'yes'\n  hint: write true"),
        ("study: cones-two-stage", "study: 2024", 'study: expected a word, got 2024\n  hint: write "2024", in quotes'),
        ("seeds: [0, 1, 2]", "seeds: 3 ", "seeds: expected a list, got 3\n  hint: write [3]"),
        ("seeds: [0, 1, 2]", "seeds: []", "seeds: expected at least 1, got none"),
        ("  lift: {", "  train: {", "`train` is a step of the flow and cannot name a gate"),
        ("budget:", "ignore: {box.zero: }\nbudget:", "ignore.box.zero: expected a word, got nothing"),
        ("budget:", "evaluation: {imgz: 256}\nbudget:", "evaluation.imgz: unknown key\n  hint: did you mean imgsz?"),
    ],
)
def test_a_mistake_names_line_key_and_what_was_meant(old: str, new: str, said: str) -> None:
    text = with_line(old, new)
    with pytest.raises(InvalidStudy) as caught:
        parse(text)
    assert said in "\n".join(line for problem in caught.value.problems for line in problem.lines())


def test_one_missing_section_is_one_mistake_and_not_one_for_each_name_in_it() -> None:
    assert mistakes(with_line("datasets:", "dataset:")).splitlines() == [
        "2 mistakes in study.yaml",
        "study.yaml:1: the key `datasets` is missing",
        "study.yaml:4: dataset: unknown key",
        "  hint: did you mean datasets?",
    ]


def test_a_study_knows_where_its_keys_stand_and_is_the_same_study_wherever_they_do() -> None:
    study, moved = parse(BUILT), parse("# a line\n" + BUILT)
    assert study.place("gates", "lift", "on") == "study.yaml:14, gates.lift.on"
    assert moved.place("gates", "lift", "on") == "study.yaml:15, gates.lift.on"
    assert study.place("datasets", "bench", "keep") == "study.yaml:6, datasets.bench.keep", "the nearest entry"
    assert replace(study, places={}).place("gates", "lift") == "gates.lift", "made in Python, it has no lines"
    assert moved == study and moved.content_hash() == study.content_hash()


MIXED = """\
study: k
question: Does synthetic data lift the real model?
datasets: {made: {path: a}, real: {path: b, lock: [test]}}
select: mAP50
arms:
  a:
    stages:
      - weights: v1.pt
        data: [{dataset: made}, {dataset: real, repeat: 8, take: 100}]
        val: real
        recipe: {epochs: 25, fliplr: 0.5}
        expect: {5: [0.1, 0.2]}
        decide: [{at: 10, continue_if: "mAP50 > 0.4", careful_if: "mAP50 > 0.3"}]
    ablate: {fliplr: [0, 0.5], mosaic: [0, 1]}
    remember: made.val
  b: [{weights: v1.pt, data: [{dataset: real, take: 100}]}, {data: made, weights_from: last, select: recall}]
gates:
  abl: {ablation: a, metric: mAP50, on: real.val, level: 0.94}
  few: {arm: b, on: real.val, claims: [{metric: false_positives_per_image, at_most: 0.2}]}
flow:
  - {step: train, arms: [a, a-fliplr-0, a-mosaic-0, a-mosaic-1]}
  - {step: train, arms: [b], when: {a: STOPPED}}
  - {step: abl, when: {a: [FINISHED, CAREFUL]}}
  - few
  - {step: report, when: [{a: STOPPED}, {few: [FAIL]}]}
"""


def test_a_mix_says_what_it_trains_on_and_what_it_is_validated_on() -> None:
    first, second = parse(MIXED).arm("a").stages[0], parse(MIXED).arm("b").stages[0]
    assert first.mix == (Part("made"), Part("real", 8, 100))
    assert (first.data, first.sources) == ("real", ("made", "real"))
    assert first.described_data == "made + 100 of real × 8, validated on real"
    assert (second.data, second.described_data) == ("real", "100 of real")


def test_the_nearest_select_counts() -> None:
    study = parse(MIXED)
    assert [stage.select for stage in study.arm("b").stages] == ["mAP50", "recall"]
    assert study.arm("b").stages[1].weights_from == "last"


def test_an_ablation_makes_one_arm_for_each_value_that_the_arm_does_not_have() -> None:
    study = parse(MIXED)
    base = study.arm("a").stages[0]
    assert [arm.name for arm in study.arms] == ["a", "a-fliplr-0", "a-mosaic-0", "a-mosaic-1", "b"]
    for name, argument, value in (("a-fliplr-0", "fliplr", 0), ("a-mosaic-1", "mosaic", 1)):
        stage = study.arm(name).stages[0]
        assert stage == replace(base, recipe={**base.recipe, argument: value})


def test_the_gate_of_an_ablation_compares_each_arm_with_its_base_at_a_corrected_level() -> None:
    study = parse(MIXED)
    gates = [gate for gate in study.gates if gate.name.startswith("abl")]
    assert [(gate.treatment, gate.control, gate.differ) for gate in gates] == [
        ("a-fliplr-0", "a", ("recipe.fliplr",)),
        ("a-mosaic-0", "a", ("recipe.mosaic",)),
        ("a-mosaic-1", "a", ("recipe.mosaic",)),
    ]
    assert all(gate.level == pytest.approx(0.98) for gate in gates)
    steps = [step for step in study.flow if step.name.startswith("abl")]
    assert [step.name for step in steps] == [gate.name for gate in gates]
    assert all(step.when == {"a": ("FINISHED", "CAREFUL")} for step in steps)


def test_decisions_expectations_memory_and_conditions_reach_their_records() -> None:
    study = parse(MIXED)
    arm = study.arm("a")
    assert arm.stages[0].decide == (Decision(10, "mAP50 > 0.4", "mAP50 > 0.3", "stop"),)
    assert arm.stages[0].expect == (Expectation(5, 0.1, 0.2),)
    assert arm.remember == ("made.val",)
    assert parse(MIXED.replace("remember: made.val", "remember: false")).arm("a").remember == ()
    assert study.flow[-1].any_of == ({"a": ("STOPPED",)}, {"few": ("FAIL",)})
    assert study.gates[-1].claims == (Claim("false_positives_per_image", None, 0.2),)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("        val: real\n", "", "arms.a.stages.0: a mix of several datasets needs `val`"),
        ("dataset: made}, {dataset: real,", "dataset: real}, {dataset: real,", "`real` is in the mix twice"),
        ("{dataset: made}", "{datset: made}", "data.0.datset: unknown key\n  hint: did you mean dataset?"),
        ("take: 100}]\n", "take: 0}]\n", "data.1.take: expected greater than or equal to 1"),
        ('"mAP50 > 0.3"', '"__import__(1) > 2"', "careful_if: expected METRIC SIGN NUMBER"),
        ('"mAP50 > 0.3"', '"map50 > 0.3"', "did you mean mAP50?"),
        ('"mAP50 > 0.3"', '"mAP50 > 1e999"', "not a finite number"),
        ("at: 10", "at: 26", "the recipe ends after 25 epochs: this point is never reached"),
        ("expect: {5:", "expect: {five:", "expected the number of an epoch, got 'five'"),
        ("[0.1, 0.2]}", "[0.3, 0.2]}", "expected [low, high] between 0 and 1 for epoch 5"),
        ("fliplr: [0, 0.5]", "fliplr: [0.5]", "`a` has this value already"),
        ("fliplr: [0, 0.5]", "seed: [1, 2]", "ablate.seed: `seed` is not a recipe's to set"),
        ("remember: made.val", "remember: real.test", "`real.test` is locked"),
        ("abl: {ablation: a", "abl: {ablation: b", "the arm `b` has no `ablate`"),
        ("at_most", "at_least", "of `false_positives_per_image` less is better"),
        (", at_most: 0.2", "", "the key `at_most` is missing"),
        ("when: {a: STOPPED}", "when: {a: FAIL}", "no word of `a` `FAIL`"),
        ("when: {a: STOPPED}", "when: {b: STOPPED}", "`b` is not trained yet"),
        ("{few: [FAIL]}", "{abl: [FAIL]}", "`abl` expands to several gates"),
        ("[{weights: v1.pt, data: [{", "[{weights: v1.pt, weights_from: last, data: [{", "is about the stage before"),
        ("select: recall", "select: pose_mAP50", "is a metric of keypoints"),
        ("select: mAP50\n", "select: mAP5\n", "did you mean mAP50?"),
    ],
)
def test_a_mistake_about_arms_names_what_was_meant(old: str, new: str, said: str) -> None:
    assert old in MIXED
    with pytest.raises(InvalidStudy) as caught:
        parse(MIXED.replace(old, new, 1))
    assert said in str(caught.value)


def test_every_mistake_is_told_at_once_also_the_ones_behind_a_bad_type() -> None:
    text = with_line("task: detect", "task: detct").replace("control: single", "control: singel")
    said = mistakes(text.replace("epochs: 200", "epochs: [[1]]").replace("usd: 200", "usd: 0"))
    assert said.startswith("4 mistakes in study.yaml")
    assert [line.partition(": ")[0] for line in said.splitlines()[1:] if line.startswith("study.yaml:")] == [
        "study.yaml:3",
        "study.yaml:10",
        "study.yaml:14",
        "study.yaml:16",
    ]


def test_one_mistake_stands_in_the_error_itself_with_place_and_hint() -> None:
    with pytest.raises(StudyError) as caught:
        parse(with_line("control: single", "control: singel"))
    assert caught.value.exit_code == 2
    assert str(caught.value) == ("gates.lift.control: no arm `singel` (study.yaml:14)\nhint: did you mean single?")


def test_a_key_that_stands_twice_is_refused_with_both_lines() -> None:
    assert "study.yaml:17: seeds: the key `seeds` is given twice: line 12 and line 17" in (
        "\n".join(line for problem in _problems(BUILT + "seeds: [4]\n") for line in problem.lines())
    )


def _problems(text: str) -> tuple[Any, ...]:
    with pytest.raises(InvalidStudy) as caught:
        parse(text)
    return caught.value.problems


def test_arms_can_share_a_recipe_by_an_anchor_and_a_merge() -> None:
    study = parse(
        with_line("recipe: {epochs: 300,", "recipe: &base {epochs: 300,").replace(
            "recipe: {epochs: 150, optimizer: SGD, lr0: 0.001, patience: 30}", "recipe: {<<: *base, lr0: 0.001}"
        )
    )
    assert study.arm("two_stage").stages[1].recipe == {"epochs": 300, "optimizer": "SGD", "lr0": 0.001}


def test_an_override_obeys_the_same_rules_and_is_named_as_the_place() -> None:
    study = parse(BUILT, overrides={"arms.single.0.recipe.epochs": "3", "seeds": "[0, 1]", "device": "cpu"})
    assert study.arm("single").stages[0].recipe["epochs"] == 3
    assert (study.seeds, study.device) == ((0, 1), "cpu")
    assert parse(BUILT, overrides={"evaluation.imgsz": "256"}).evaluation == {"imgsz": 256}
    for reason in ("known", "drawn so: a crack is a line", "one [of two"):
        assert parse(BUILT, overrides={"ignore.box.zero-area": reason}).ignore == {"box.zero-area": reason}
    assert parse(BUILT, overrides={"seeds": [7]}).seeds == (7,)


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("arms.singel.0.recipe.epochs", "3", "there is no `singel` in arms (--set arms.singel.0.recipe.epochs)"),
        ("arms.single.1.recipe.epochs", "3", "there is no `1` in arms.single"),
        ("sedes", "[1]", "sedes: unknown key (--set sedes)\nhint: did you mean seeds?"),
        ("budget.usd", "0", "budget.usd: expected more than 0"),
        ("budget", "{usd: 0, gpu_hours: 1}", "budget.usd: expected more than 0, got 0: it would stop the study"),
        ("name.x", "1", "there is no `name` in the study"),
        ("study.x", "1", "there is no `x` in study"),
        ("seeds", "[1", "not YAML"),
        ("", "1", "unknown key"),
    ],
)
def test_an_override_that_does_not_fit_is_refused(key: str, value: str, said: str) -> None:
    with pytest.raises(StudyError) as caught:
        parse(BUILT, overrides={key: value})
    assert said in str(caught.value)


def test_the_place_of_what_an_override_replaced_is_the_override() -> None:
    with pytest.raises(StudyError, match=r"--set budget\)"):
        parse(BUILT, overrides={"budget": "{usd: 0, gpu_hours: 1}"})


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "no such study"),
        (b"\xff\xfe\x00s", "not UTF-8"),
        (b"study: a\nquestion: caf\xe9?\n", "study.yaml:2"),
        (b"", "a study is a mapping"),
        (b"- a\n- b\n", "a study is a mapping"),
        (b"just words", "a study is a mapping"),
        (b"train: images\nnames: [cup]\n", "a data.yaml is data, not a study"),
        (b"study: [1\n", "not YAML"),
        (b"\tstudy: a\n", "not YAML"),
        (b"a: 1\n---\nb: 2\n", "expected a single document"),
        (
            b"a: !!python/object/apply:os.system [ls]\n",
            "the YAML tag `tag:yaml.org,2002:python/object/apply:os.system`",
        ),
        (b"a: " + b"[" * 5000, "nested more than"),
        (b"a: &a [*a]\n", "an alias that contains itself"),
        (b'a: "\\UFFFFFFFF"\n', "not YAML"),
        (b'study: "a\\0b"\n', "a character that no file can hold"),
        (b"a: " + b"x" * 300_000, "larger than 256 KiB"),
        (b"[a]: 1\n", "a key must be a word"),
        (b"a: [" + b"1," * 30_000 + b"1]", "more than 10000 values"),
    ],
)
def test_a_file_that_is_no_study_gives_one_clear_error(tmp_path: Path, content: bytes | None, said: str) -> None:
    path = tmp_path / "study.yaml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(StudyError) as caught:
        load(path)
    assert said in str(caught.value)
    assert "study.yaml" in str(caught.value)


def test_a_folder_stands_for_the_study_in_it_and_else_leads_to_one(tmp_path: Path) -> None:
    inside = tmp_path / "cones" / "study.yaml"
    with pytest.raises(StudyError, match=r"no study\.yaml in this folder") as nothing:
        load(tmp_path)
    assert nothing.value.hint == "`liftgate init DIR` writes one"
    inside.parent.mkdir()
    inside.write_text(BUILT)
    assert load(inside.parent).source == inside
    inside.write_text("stduy: cones\n")
    with pytest.raises(StudyError, match="stduy"):
        load(inside.parent)
    inside.write_text(BUILT)
    with pytest.raises(StudyError) as below:
        load(tmp_path)
    assert below.value.hint == f"did you mean {inside}?"


def test_an_alias_bomb_is_refused_before_it_fills_the_memory() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    assert "more than 10000 values: aliases" in _problems("\n".join(lines))[0].message


def test_the_hash_covers_gates_recipes_and_data_and_not_where_the_file_lies() -> None:
    study = parse(BUILT)
    assert parse("# a comment\n" + BUILT, source=Path("/else/where.yaml")).content_hash() == study.content_hash()
    for old, new in (
        ("margin: 0.01", "margin: 0.02"),
        ("lr0: 0.001", "lr0: 0.002"),
        ("path: FSOCO-12", "path: FSOCO-13"),
        ("seeds: [0, 1, 2]", "seeds: [0, 1]"),
        ("lock: [test]", "lock: [test], openings: {test: 9}"),
    ):
        assert parse(with_line(old, new)).content_hash() != study.content_hash(), new


def test_keys_that_came_later_leave_the_hashes_of_studies_without_them_as_they_were() -> None:
    study = parse(BUILT)
    assert study.gates[0].content_hash() == "139c23dd848745bdc554e6b64d299a533e6fc2e99c0ab4c1f89212ff131e54d8"
    assert study.content_hash() == "f6cc00be315742f080b096328e978e259cb71cbd7577c75429c2ee078713bf3a"
    for old, new in (
        ("margin: 0.01", "margin: 0.01, rule: point, published: the paper"),
        ("margin: 0.01", "margin: 0.01, by: folder"),
        ("margin: 0.01", "margin: 0.01, label_errors: 0.01"),
        ("lock: [test]", "lock: [test], rename: {Cone: cone}"),
    ):
        assert parse(with_line(old, new)).content_hash() != study.content_hash(), new


def test_only_a_point_rule_is_replayed_from_a_publication() -> None:
    said = mistakes(with_line("margin: 0.01", "margin: 0.01, published: the paper"))
    assert "only a point rule is replayed" in said and "rule: point" in said


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ("label_errors: 0.01, rule: point", "widen an interval, and the rule is point"),
        ("label_errors: 0.5", "less than 0.5"),
        ("label_errors: 0", "greater than 0"),
    ],
)
def test_doubt_about_labels_is_a_share_and_needs_an_interval(keys: str, message: str) -> None:
    assert message in mistakes(with_line("margin: 0.01", f"margin: 0.01, {keys}"))


def test_a_study_is_the_same_record_each_time(tmp_path: Path) -> None:
    (tmp_path / "study.yaml").write_text(BUILT)
    assert isinstance(load(tmp_path / "study.yaml"), Study)
    assert load(tmp_path / "study.yaml") == load(tmp_path / "study.yaml")


def test_what_the_model_is_for_may_be_said_and_is_part_of_the_question() -> None:
    said = parse(f"{BUILT}\nuse: commercial\n")
    assert (said.use, parse(BUILT).use) == ("commercial", None)
    assert said.content_hash() != parse(BUILT).content_hash()
    with pytest.raises(StudyError, match="expected"):
        parse(f"{BUILT}\nuse: comercial\n")


def test_a_mistyped_study_leads_to_the_one_beside_it(tmp_path: Path) -> None:
    (tmp_path / "study.yaml").write_text("study: a\n")
    with pytest.raises(StudyError, match=r"did you mean .*study\.yaml"):
        load(tmp_path / "studdy.yaml")
    with pytest.raises(StudyError, match="liftgate init DIR"):
        load(tmp_path / "zzz.json")
    (tmp_path / "study.yaml").rename(tmp_path / "kept.txt")
    (tmp_path / "studies.yaml").write_text("names: [a]\n")
    with pytest.raises(StudyError, match="liftgate init DIR"):
        load(tmp_path / "study.yaml")


@pytest.mark.parametrize(
    ("engine", "said"),
    [
        ("{use: local, gpus: [0, 0]}", "a GPU is given twice"),
        ("{use: ray, address: head}", "engine.address: expected HOST:PORT, or auto, got 'head'"),
        ("{use: ray, store: bucket}", "engine.store: expected a URL such as s3://BUCKET/PREFIX, got 'bucket'"),
        ("{use: local, workers: 1.5}", "engine.workers: expected a whole number, got 1.5"),
    ],
)
def test_what_an_engine_may_not_be(engine: str, said: str) -> None:
    assert said in mistakes(f"{BUILT}\nengine: {engine}\n")

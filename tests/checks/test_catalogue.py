"""Every rule finds what is planted, and is silent on sound data."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image as Picture

from checks.plants import PLANTS, SIDES
from checks.small_set import CLASSES, SmallSet
from liftgate.checks.rule import Rule
from liftgate.checks.rules import catalogue
from liftgate.checks.run import page, run
from liftgate.checks.subject import Subject

DOCS = Path(__file__).resolve().parents[2] / "docs" / "findings"
IDS = [rule.id for rule in catalogue()]
CASES = [(id_, plant) for id_ in IDS for plant in PLANTS.get(id_, ())]

# Other programs rely on these.
PROMISED = """
    labels.geometry labels.zero_area labels.out_of_range labels.dropped_image labels.duplicate_box classes.mismatch
    classes.absent images.unreadable images.no_background objects.tiny splits.same classes.names splits.leak_group
    splits.leak_exact splits.leak_near splits.leak_source splits.leak_time data.path data.download_key pose.flip_idx
    pose.kpt_shape pose.sigmas recipe.lr_ignored recipe.lr_high recipe.confounded weights.untrusted weights.classes
    licence.missing licence.conflict
"""


@pytest.mark.parametrize(("id_", "plant"), CASES, ids=[f"{id_}-{i}" for i, (id_, _) in enumerate(CASES)])
def test_a_planted_fault_is_found(id_: str, plant: object, small: SmallSet) -> None:
    subject = plant(small)  # type: ignore[operator]
    result = run(subject, select=[id_])
    assert [finding.id for finding in result.findings], f"{id_} did not see what was planted"
    for finding in result.findings:
        assert finding.where and finding.message and finding.hint
    rule = next(rule for rule in catalogue() if rule.id == id_)
    assert {finding.severity for finding in result.findings} <= {rule.severity, *rule.others}


# What must stop a run, and what must not: a change of either is a change of what people rely on.
STOPS = """
    data.path data.empty classes.mismatch labels.geometry labels.out_of_range labels.dropped_image
    labels.malformed labels.unreadable labels.missing images.unreadable splits.same splits.leak_group
    splits.leak_exact splits.leak_source splits.missing recipe.lr_ignored recipe.unknown recipe.value recipe.queries
    weights.missing weights.unreadable weights.untrusted weights.classes pose.flip_idx pose.kpt_shape
    probe.not_learned environment.versions environment.disk licence.conflict model.unusable
"""


@pytest.mark.parametrize("id_", IDS)
def test_only_what_is_certain_and_harmful_stops_a_run(id_: str, sound: Path, tmp_path: Path) -> None:
    results = (
        run(plant(SmallSet(sound, tmp_path / str(number) / "small")), select=[id_])
        for number, plant in enumerate(PLANTS[id_])
    )
    assert any(not result.ok for result in results) == (id_ in STOPS.split())


@pytest.mark.parametrize("rule", catalogue(), ids=IDS)
def test_explain_and_the_index_name_the_severities_of_a_rule(rule: Rule) -> None:
    assert f"Severity: {rule.severities}" in page(rule)
    index = (DOCS / "index.md").read_text(encoding="utf-8")
    assert f"| [{rule.id}]({rule.id}.md) | {', '.join((rule.severity, *rule.others))} |" in index


def test_every_rule_has_a_plant() -> None:
    assert sorted(PLANTS) == sorted(IDS)


@pytest.mark.parametrize("id_", PROMISED.split())
def test_ids_that_other_programs_rely_on_exist(id_: str) -> None:
    assert id_ in IDS


def test_a_sound_data_set_has_no_findings(small: SmallSet) -> None:
    assert [f"{f.id}: {f.message}" for f in run(small.subject()).findings] == []


def test_a_sound_study_has_no_findings(small: SmallSet) -> None:
    subject = small.subject(weights="yolov8n.yaml")
    assert [f"{f.id}: {f.message}" for f in run(subject).findings] == []


def test_a_sound_pose_set_has_no_findings(small: SmallSet) -> None:
    small.keypoints(SIDES)
    small.keys(flip_idx=[0, 2, 1], kpt_oks_sigmas=[0.05] * 3)
    assert [f"{f.id}: {f.message}" for f in run(small.subject()).findings] == []


def test_nothing_at_all_has_no_findings() -> None:
    assert run(Subject({})).ok


@pytest.mark.parametrize("rule", catalogue(), ids=IDS)
def test_every_rule_says_what_why_and_how_to_mend(rule: object) -> None:
    assert rule.summary.endswith(".") and rule.why and rule.fix  # type: ignore[attr-defined]
    family, _, name = rule.id.partition(".")  # type: ignore[attr-defined]
    assert family.isidentifier() and name.isidentifier()


def test_one_fault_is_told_once(small: SmallSet) -> None:
    """What another rule says already is no second finding."""
    (small.root / "train.txt").write_text("images/train/train05.png\nimages/train/train06.png\n")
    small.keys(train="train.txt")
    Picture.open(small.image("val")).convert("RGB").save(small.image("val").with_suffix(".jpg"), quality=95)
    found = {finding.id for finding in run(small.subject(), select=["labels", "data", "images.names"]).findings}
    assert {"data.path", "images.names"} <= found
    assert not {"labels.dropped_image", "labels.same_file"} & found


def test_a_classes_txt_that_agrees_says_nothing(small: SmallSet) -> None:
    (small.root / "labels" / "train" / "classes.txt").write_text("\n".join(CLASSES))
    assert not run(small.subject(), select=["classes"]).findings

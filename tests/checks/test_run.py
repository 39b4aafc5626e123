"""Selecting, ignoring with a reason, explaining."""

from __future__ import annotations

import json

import pytest

from checks.small_set import SmallSet
from liftgate.checks.rules import catalogue
from liftgate.checks.run import explain, run
from liftgate.errors import UsageError


@pytest.fixture
def spoilt(small: SmallSet) -> SmallSet:
    small.add_row("1 0.5 0.5 0 0.2")
    small.add_row("0 1.5 0.5 0.2 0.2", number=6)
    return small


def test_errors_come_first_and_stop_a_run(spoilt: SmallSet) -> None:
    result = run(spoilt.subject())
    assert not result.ok
    severities = [finding.severity for finding in result.findings]
    assert severities == sorted(severities, key=["error", "warning", "info"].index)
    assert {"labels.out_of_range", "labels.dropped_image", "labels.zero_area"} <= {f.id for f in result.findings}


def test_select_takes_ids_and_families(spoilt: SmallSet) -> None:
    assert {f.id for f in run(spoilt.subject(), select=["labels.zero_area"]).findings} == {"labels.zero_area"}
    assert {f.id.split(".")[0] for f in run(spoilt.subject(), select=["labels"]).findings} == {"labels"}


def test_what_is_ignored_is_kept_with_its_reason(spoilt: SmallSet) -> None:
    reasons = {"labels.out_of_range": "seen, harmless", "labels.dropped_image": "seen, harmless"}
    result = run(spoilt.subject(), ignore=reasons)
    assert result.ok
    assert {one.finding.id for one in result.ignored} == set(reasons)
    assert {one.reason for one in result.ignored} == {"seen, harmless"}
    assert {entry["reason"] for entry in result.to_dict()["ignored"]} == {"seen, harmless"}


def test_ignoring_without_a_reason_is_refused(spoilt: SmallSet) -> None:
    with pytest.raises(UsageError, match="without a reason"):
        run(spoilt.subject(), ignore={"labels.zero_area": " "})


@pytest.mark.parametrize("how", [{"select": ["labels.zero_aria"]}, {"ignore": {"labels.zero_aria": "why"}}])
def test_an_unknown_id_gets_the_near_one(small: SmallSet, how: dict[str, object]) -> None:
    with pytest.raises(UsageError) as caught:
        run(small.subject(), **how)  # type: ignore[arg-type]
    assert caught.value.hint == "did you mean labels.zero_area?"


def test_the_result_is_json_that_other_programs_rely_on(spoilt: SmallSet) -> None:
    value = json.loads(json.dumps(run(spoilt.subject()).to_dict(), allow_nan=False))
    assert value["ok"] is False
    assert {"id", "severity", "where", "message", "hint"} <= set(value["findings"][0])
    assert value["n_images"] == 70


def test_every_finding_has_a_page() -> None:
    for rule in catalogue():
        text = explain(rule.id)
        assert rule.id in text and rule.fix in text


def test_two_runs_find_the_same(spoilt: SmallSet) -> None:
    assert run(spoilt.subject()).to_dict() == run(spoilt.subject()).to_dict()


def test_sizes_and_colours_set_classes_apart_on_purpose(small: SmallSet) -> None:
    """The cones of Formula Student: a large orange cone is another thing than an orange one."""
    small.keys(names=["orange_cone", "large_orange_cone", "cone of unknown kind"])
    assert not run(small.subject(), select=["classes.names"]).findings
    small.keys(names=["phone", "Mobile phone", "spoon"])
    assert run(small.subject(), select=["classes.names"]).findings[0].data["twins"] == [["phone", "Mobile phone"]]

from __future__ import annotations

from pathlib import Path

import pytest

from liftgate.data.production_log.quality import QualityJudge, QualityRules, Rules, disagreement_colour, read_rules
from liftgate.data.production_log.records import LoggedBox
from liftgate.errors import DataError


def boxes(*names: str, confidence: float = 0.9) -> list[LoggedBox]:
    return [LoggedBox(name, confidence, (0.0, 0.0, 1.0, 1.0)) for name in names]


def test_each_rule_is_named_where_it_holds_and_red_counts_before_yellow() -> None:
    judge = QualityJudge(QualityRules())
    assert judge.judge(0, "a", 120, boxes("cone")) == ("green", ())
    assert judge.judge(10, "a", 25, boxes("cone")) == ("yellow", ("too_dark",))
    assert judge.judge(20, "a", 10, boxes("cone")) == ("red", ("too_dark",))
    assert judge.judge(30, "a", 120, boxes("cone", confidence=0.3)) == ("yellow", ("low_confidence",))
    assert judge.judge(40, "a", 120, boxes(*["cone"] * 4)) == ("yellow", ("count_jump",))
    assert judge.judge(50, "b", 120, boxes(*["cone"] * 9)) == ("green", ()), "another camera has another past"


def test_a_class_that_is_gone_for_one_image_flickers() -> None:
    judge = QualityJudge(QualityRules())
    for time, names, expected in ((0, ["cone"], ()), (0.3, [], ()), (0.6, ["cone"], ("flicker",))):
        assert judge.judge(time, "a", 120, boxes(*names))[1] == expected
    slow = QualityJudge(QualityRules())
    for time, names in ((0, ["cone"]), (60, []), (120, ["cone"])):
        assert slow.judge(time, "a", 120, boxes(*names))[1] == ()


def test_images_without_a_camera_do_not_follow_each_other() -> None:
    judge = QualityJudge(QualityRules())
    judge.judge(0, "", 120, boxes("cone"))
    assert judge.judge(1, "", 120, boxes(*["cone"] * 9)) == ("green", ())


def test_a_clock_that_is_set_back_starts_anew() -> None:
    judge = QualityJudge(QualityRules())
    judge.judge(1000, "a", 120, boxes("cone"))
    assert judge.judge(10, "a", 120, boxes(*["cone"] * 9)) == ("green", ())


def test_disagreement_has_the_colour_of_the_rule_that_it_breaks() -> None:
    rules = QualityRules(red=Rules(disagreement=3), yellow=Rules(disagreement=1))
    assert [disagreement_colour(rules, count) for count in (0, 1, 2, 3)] == ["green", "yellow", "yellow", "red"]
    assert disagreement_colour(QualityRules(Rules(), Rules()), 9) == "green"


def test_rules_come_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "rules.yaml"
    path.write_text("red: {low_confidence: 0.2}\n")
    assert read_rules(path) == QualityRules(red=Rules(low_confidence=0.2), yellow=Rules())
    for text in ("red: {dark: 1}", "orange: {}", "red: {too_dark: much}", "[1]", "red: [", ""):
        path.write_text(text)
        with pytest.raises(DataError, match="quality rules"):
            read_rules(path)
    with pytest.raises(DataError, match="quality rules"):
        read_rules(tmp_path / "nowhere.yaml")

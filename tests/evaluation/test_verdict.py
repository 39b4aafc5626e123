"""Verdicts: the rules, and what they would have said of published gates."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from evaluation.test_evaluate import BOX, said, truth
from liftgate.evaluation.compare import compare_published
from liftgate.evaluation.evaluate import evaluate
from liftgate.evaluation.records import Verdict
from liftgate.evaluation.verdict import (
    attribute,
    decide,
    describe_groups_needed,
    explain_verdict,
    judge_claims,
    judge_comparison,
)
from liftgate.stats.interval import Interval
from liftgate.stats.rates import korn_graubard
from liftgate.study.records import Claim, Gate
from oracle.tost import equal_within


def interval(low: float, high: float) -> Interval:
    return Interval((low + high) / 2, low, high, 0.95, "jackknife-t", 1000, 40, standard_error=(high - low) / 4.045)


@pytest.mark.parametrize(
    ("low", "high", "word"),
    [(2.1, 4.0, "PASS"), (2.0, 4.0, "PASS"), (0.5, 3.0, "MARGINAL"), (-1.0, 1.5, "FAIL"), (-3.0, -1.0, "FAIL")],
)
def test_interval_rule_at_a_margin_of_two_points(low: float, high: float, word: str) -> None:
    assert decide(interval(low, high), 2.0) == word


@pytest.mark.parametrize(
    ("gain", "word"), [(0.02, "PASS"), (0.03, "PASS"), (0.0, "MARGINAL"), (0.019, "MARGINAL"), (-0.001, "FAIL")]
)
def test_point_rule(gain: float, word: str) -> None:
    assert decide(Interval(gain, None, None, 0.95, "published", 0, 0), 0.02, "point") == word


@pytest.mark.parametrize("groups", [1, 4, 5])
def test_a_published_point_gate_is_replayed_on_few_groups_and_says_so(groups: int) -> None:
    few = Interval(0.03, None, None, 0.95, "none", 100, groups)
    comparison = replace(compare_published("mAP50", 0.5, 0.53, margin=0.02), delta=few)
    gate = Gate("lift", "real.test", rule="point", metric="mAP50", treatment="A", control="v1", margin=0.02)
    plain, replayed = (judge_comparison(one, comparison) for one in (gate, replace(gate, published="Doe 2024")))
    assert (plain.word, replayed.word) == ("MARGINAL" if groups < 5 else "PASS", "PASS")
    assert "replayed as published (Doe 2024)" in replayed.sentence and "published" not in plain.sentence
    assert any("because Doe 2024 did" in caveat for caveat in replayed.caveats) == (groups < 5)


def test_not_significant_is_not_equal() -> None:
    wide, narrow = interval(-0.03, 0.03), interval(-0.004, 0.006)
    assert equal_within(wide, 0.01).equal is False
    assert equal_within(narrow, 0.01).equal is True


def replay(control: float, treatment: float, margin: float = 0.02, metric: str = "OKS-mAP50-95") -> Verdict:
    gate = Gate("lift", "real.test", rule="point", metric=metric, treatment="A", control="v1", margin=margin)
    return judge_comparison(gate, compare_published(metric, control, treatment, margin=margin))


def test_case_k_first_design_and_v4_fail() -> None:
    assert replay(0.2199, 0.0075).word == "FAIL"
    assert replay(0.2199, 0.1494).word == "FAIL"


def test_case_k_v5_passes_its_gate_but_the_control_explains_it() -> None:
    gate = replay(0.2199, 0.3575)
    assert gate.word == "PASS"
    contribution = compare_published("OKS-mAP50-95", control=0.3808, treatment=0.3575)
    assert contribution.delta.estimate == pytest.approx(-0.0233)
    overall = attribute(gate, contribution, control="arm B")
    assert overall.word == "FAIL"
    assert "the control explains it" in overall.sentence
    assert "0.0233 below" in overall.sentence
    assert [row["kind"] for row in overall.evidence] == ["comparison", "attribution"]


def test_case_k_v6_both_arms_harm() -> None:
    for arm in (0.4175, 0.4410):
        verdict = replay(0.5038, arm)
        assert verdict.word == "FAIL"
        assert "harms" in verdict.sentence


PAGE = Path(__file__).parents[2] / "docs/intervals.md"
REPLAYS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in PAGE.read_text(encoding="utf-8").splitlines()
    if line.startswith(("| kill-switch, ", "| two-stage, ", "| improve, "))
]


def test_all_published_verdicts_are_on_the_page() -> None:
    assert len(REPLAYS) == 8 and [row[4] for row in REPLAYS].count("PASS") == 1


@pytest.mark.parametrize("row", REPLAYS, ids=[row[0] for row in REPLAYS])
def test_published_verdicts_are_what_they_were(row: list[str]) -> None:
    name, control, treatment, margin, word, beside = row
    metric = "OKS-mAP50-95" if name.startswith("kill") else "mAP50"
    verdict = replay(float(control), float(treatment), float(margin), metric)
    assert verdict.word == word and ("harms" in verdict.sentence) == (word == "FAIL")
    if beside:
        alone, _, outcome = beside.partition(": ")
        own = compare_published(metric, float(alone), float(treatment))
        said = f"{attribute(verdict, own).word}, {own.delta.estimate:.4f}"
        assert outcome.replace("\N{MINUS SIGN}", "-") == said


def test_case_c_two_stages_do_not_lift_and_what_they_cost_is_said_beside_it() -> None:
    gate = Gate(
        "lift", "bench.test", rule="point", metric="mAP50", treatment="two_stage", control="single", margin=0.01
    )
    verdict = judge_comparison(
        gate, compare_published("mAP50", 0.7626, 0.7612), costs={"two_stage": "43 h", "single": "10 h"}
    )
    assert verdict.word == "FAIL"
    assert "Cost: two_stage 43 h, single 10 h." in verdict.sentence


def test_an_own_contribution_that_is_positive_but_not_established_is_at_most_marginal() -> None:
    gate = replay(0.2199, 0.3575)
    doubtful = compare_published("OKS-mAP50-95", control=0.35, treatment=0.3575)
    assert attribute(gate, doubtful).word == "MARGINAL"


def test_a_gate_names_its_hash_and_a_changed_gate_is_another() -> None:
    first = replay(0.2, 0.3)
    assert first.gate_hash != replay(0.2, 0.3, margin=0.03).gate_hash
    assert len(first.gate_hash) == 64


def measured(hits: int, images: int = 250, per_video: int = 10) -> Verdict:
    data = truth([1] * images, [f"v{i // per_video}" for i in range(images)])
    missing = set((range(0, images, max(1, images // max(1, images - hits)))) if hits < images else ())
    missing = set(sorted(missing)[: images - hits])
    model = said([(i, BOX, 0.8 + i % 7 / 100) for i in range(images) if i not in missing], data)
    gate = Gate("need", "frames", arm="shelf", claims=(Claim("recall", 0.95), Claim("best_confidence_median", 0.55)))
    return judge_claims(gate, evaluate(data, model))


def test_case_m_250_frames_cannot_tell_092_from_096() -> None:
    for hits in (230, 240):
        verdict = measured(hits)
        recall = verdict.evidence[0]
        assert recall["value"] == hits / 250
        if hits == 240:
            assert (verdict.word, recall["word"]) == ("MARGINAL", "MARGINAL")
            assert recall["images_needed"] > 1000
            assert str(recall["images_needed"]) in verdict.sentence


def test_every_sentence_says_level_method_images_and_groups() -> None:
    found = Interval(0.1188, 0.0505, 0.1871, 0.95, "jackknife-t", 144, 18, standard_error=0.03)
    evidence = "[0.0505, 0.1871] (95% jackknife-t, 144 images in 18 groups)"
    for margin, rule in ((0.01, "interval"), (0.1, "interval"), (0.3, "interval"), (0.01, "point")):
        assert evidence in explain_verdict("mAP50", found, margin, rule, ("control", "treatment"))  # type: ignore[arg-type]
    few = Interval(0.1, None, None, 0.95, "jackknife-t", 16, 2, note="fewer than 5 groups")
    assert "(16 images in 2 groups)" in explain_verdict("mAP50", few, 0.01, "interval", ("control", "treatment"))
    assert "published numbers: no interval" in replay(0.2, 0.3).sentence
    assert measured(240).sentence.count("(95% korn-graubard, 250 images in 25 groups)") == 1


def test_the_worst_claim_is_the_verdict() -> None:
    verdict = measured(150)
    assert verdict.word == "FAIL"
    assert [row["word"] for row in verdict.evidence] == ["FAIL", "PASS"]


def test_one_seed_and_few_groups_are_said() -> None:
    caveats = " ".join(measured(60, images=60).caveats)
    assert "one seed" in caveats and "only 6 groups" in caveats


@pytest.mark.parametrize(
    ("seeds", "caveat"),
    [((0,), "one seed"), ((0, 1), "2 seeds: 3 are the least for a claim about the recipe"), ((0, 1, 2), "")],
)
def test_under_three_seeds_a_verdict_says_that_it_claims_nothing_about_the_recipe(
    seeds: tuple[int, ...], caveat: str
) -> None:
    gate = Gate("lift", "real.test", rule="point", metric="mAP50", treatment="A", control="v1", margin=0.02)
    caveats = judge_comparison(gate, compare_published("mAP50", control=0.4, treatment=0.5), seeds=seeds).caveats
    of_seeds = [one for one in caveats if "seed" in one]
    assert caveat in of_seeds[0] if caveat else not of_seeds


def test_a_difference_that_was_declared_does_not_confound() -> None:
    from dataclasses import replace

    comparison = replace(
        compare_published("mAP50", 0.5, 0.6),
        differences=("imgsz: control 640, treatment 416", "conf: control 0.25, treatment 0.1"),
    )
    gate = Gate("size", "bench.val", rule="point", metric="mAP50", treatment="a", control="b", differ=("recipe.imgsz",))
    caveats = " ".join(judge_comparison(gate, comparison).caveats)
    assert "conf:" in caveats and "imgsz" not in caveats


def test_a_failed_claim_about_a_rate_says_what_it_would_take_to_show_it() -> None:
    measured = korn_graubard([6, 8] * 10, [10] * 20, n_images=200)
    told = describe_groups_needed(measured, 0.95)
    images, groups = (int(word) for word in re.findall(r"(\d+) images in (\d+) groups", told)[0])
    assert "where the truth is 0.975" in told
    assert images == groups * 10
    assert groups > measured.n_groups, "with what there is, not even that model could show it"

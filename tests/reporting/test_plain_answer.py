"""The first screen: one plain sentence that never says more than the verdict, for every metric, word and direction."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from liftgate.evaluation.metric_names import LESS_IS_BETTER
from liftgate.evaluation.records import Comparison, Evaluation, Verdict
from liftgate.evaluation.verdict import as_gain, decide
from liftgate.ledger.records import CONTAMINATED
from liftgate.ledger.results import MeasuredAt
from liftgate.reporting.content import ArmContent, ClaimContent, Contribution, GateContent, ReportContent
from liftgate.reporting.metric_words import METRIC_WORDS
from liftgate.reporting.number_format import outward
from liftgate.reporting.plain_answer import ONE_GROUP, RANGE, no_answer, plain_answer
from liftgate.stats.interval import Interval
from liftgate.study.records import Claim, Gate
from liftgate.study.vocabulary import METRICS
from reporting.sample_report import sample

STATISTICS = re.compile(
    r"interval|signific|p-value|bootstrap|varian|standard error|median|\bmean\b|quantile|mAP|\bAP\b|AUC|OKS|recall"
    r"|precision|confiden|hypothes|jackknife|95\s?%",
    re.IGNORECASE,
)
CONTENT = ReportContent("signs", "Does it help?")


def asked(metric: str = "recall", on: str = "bench.test", **keys: Any) -> Gate:
    return Gate("lift", on, metric=metric, treatment="tuned", control="plain", **{"margin": 0.01, **keys})


def compared(
    low: float | None, high: float | None, gate: Gate | None = None, *, differences: tuple[str, ...] = ()
) -> GateContent:
    """A gate whose difference, as the metric has it, lies between two numbers."""
    gate = asked() if gate is None else gate
    middle = 0.04 if low is None or high is None else (low + high) / 2
    delta = Interval(middle, low, high, 0.95, "t", 689, 18)
    metric = str(gate.metric)
    word = decide(as_gain(delta, metric), gate.margin, gate.rule, gate.claim)
    comparison = Comparison(
        metric, 0.5, 0.5 + middle, delta, gate.margin, word, "…", None, claim=gate.claim, differences=differences
    )
    evaluation = Evaluation({metric: 0.5}, {}, {"sign": {}}, {}, "t", "p", 0.95, "t", 689, 18)
    arms = tuple(
        ArmContent(name, role, "", evaluation, {}, dict.fromkeys(range(3), evaluation))  # type: ignore[arg-type]
        for name, role in (("plain", "control"), ("tuned", "treatment"))
    )
    return GateContent(gate, Verdict("lift", "h", word, f"{word}: …", ()), arms, comparison)


def claimed(
    metric: str, value: float, low: float | None, high: float | None, *, word: Any, trained: bool = False
) -> GateContent:
    less = metric in LESS_IS_BETTER
    claim = Claim(metric, at_most=0.2) if less else Claim(metric, 0.9)
    gate = Gate("enough", "bench.test", arm="plain", claims=(claim,))
    interval = Interval(value, low, high, 0.95, "t", 250, 41)
    row = ClaimContent(
        metric, interval, 0.2 if less else 0.9, word, None, 90 if word == "MARGINAL" else None,
        side="at most" if less else "at least",
    )  # fmt: skip
    evaluation = Evaluation({metric: value}, {}, {}, {}, "t", "p", 0.95, "t", 250, 41)
    arm = ArmContent("plain", "measured", "", evaluation, by_seed={0: evaluation} if trained else {})
    return GateContent(gate, Verdict("enough", "h", word, f"{word}: …", ()), (arm,), None, (row,))


def sentence(gate: GateContent, content: ReportContent = CONTENT) -> str:
    return plain_answer(gate, content).sentence


def test_the_sentence_of_a_pass_is_what_a_manager_would_say() -> None:
    assert sentence(compared(0.0830, 0.1794)) == (
        "Yes: 8 to 18 more of 100 “sign” objects are found with “tuned” than with “plain” (about 63 against 50; "
        "asked for: at least 1 more), on 689 images from 18 separate groups that training never used."
    )


def test_the_question_that_yes_or_no_answers_stands_before_it() -> None:
    def question(gate: GateContent) -> str:
        return plain_answer(gate, CONTENT).asked

    assert question(compared(0.08, 0.18)) == "Is “tuned” better than “plain” by enough to count?"
    assert question(compared(0.08, 0.18, asked(margin=0.0))) == "Is “tuned” better than “plain”?"
    assert "worse than “plain” by no more" in question(compared(0.08, 0.18, asked(margin=-0.02)))
    assert question(compared(0, 0, asked(claim="equal"))) == "Are “tuned” and “plain” equally good?"
    assert question(claimed("recall", 0.94, 0.91, 0.97, word="PASS")) == "Is “plain” good enough?"
    assert no_answer(CONTENT).asked == ""


def test_every_metric_that_a_gate_may_name_has_a_row() -> None:
    assert set(METRIC_WORDS) == set(METRICS)


# In terms of gain: reached, not reached but better, neither, not reached and worse.
OUTCOMES = {
    ("PASS", "up"): (0.02, 0.06),
    ("FAIL", "up"): (0.002, 0.008),
    ("MARGINAL", "up"): (0.005, 0.06),
    ("MARGINAL", "both"): (-0.03, 0.06),
    ("FAIL", "both"): (-0.03, 0.006),
    ("FAIL", "down"): (-0.06, -0.02),
}
MORE = re.compile(r"\b(more|higher)\b")
FEWER = re.compile(r"\b(fewer|lower|less)\b")


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize(("word", "direction"), OUTCOMES)
def test_a_comparison_says_its_word_and_direction_without_a_term_of_statistics(
    metric: str, word: str, direction: str
) -> None:
    low, high = OUTCOMES[word, direction]
    less = metric in LESS_IS_BETTER
    gate = compared(*((-high, -low) if less else (low, high)), asked(metric))
    assert gate.verdict.word == word
    text = sentence(gate)
    assert text.startswith({"PASS": "Yes: ", "MARGINAL": "Not settled: ", "FAIL": "No: "}[word])
    assert not STATISTICS.search(text), text
    change = text.partition("(asked for")[0]
    grows, shrinks = bool(MORE.search(change)), bool(FEWER.search(change))
    assert (grows, shrinks) == {"up": (not less, less), "down": (less, not less), "both": (True, True)}[direction], text
    assert ("it is worse" in text) == (direction == "down")


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("word", ["PASS", "MARGINAL", "FAIL"])
def test_a_claim_says_its_word_and_what_was_asked_for_without_a_term_of_statistics(metric: str, word: str) -> None:
    good, open_, bad = ((0.05, 0.15), (0.15, 0.25), (0.25, 0.35))
    if metric not in LESS_IS_BETTER:
        good, open_, bad = ((0.91, 0.97), (0.87, 0.93), (0.6, 0.7))
    low, high = {"PASS": good, "MARGINAL": open_, "FAIL": bad}[word]
    text = sentence(claimed(metric, (low + high) / 2, low, high, word=word))
    assert text.startswith({"PASS": "Yes: ", "MARGINAL": "Not settled: ", "FAIL": "No: "}[word])
    side = "at most" if metric in LESS_IS_BETTER else "at least"
    assert f"(asked for: {side} " in text and "with “plain”" in text
    assert not STATISTICS.search(text), text


@settings(max_examples=300, deadline=None)
@given(
    low=st.floats(-0.4, 0.4),
    width=st.floats(0, 0.3),
    margin=st.sampled_from([0.0, 0.01, 0.05, -0.02, 0.1 / 3]),
)
def test_rounded_ends_hold_the_interval_and_stay_on_their_side_of_every_threshold(
    low: float, width: float, margin: float
) -> None:
    high = low + width
    texts = outward(low, high, (0.0, margin), 100)
    shown = [float(text.replace("−", "-").replace(",", "")) for text in texts]
    assert shown[0] <= low * 100 + 1e-6 and high * 100 - 1e-6 <= shown[1]
    near = [abs(value - edge) < 1e-9 for value in (low, high) for edge in (0.0, margin)]
    if not any(near):
        assert (shown[0] >= margin * 100 - 1e-9) == (low >= margin)
        assert (shown[1] < margin * 100) == (high < margin)


def test_a_bound_that_misses_the_margin_by_little_is_not_printed_as_reaching_it() -> None:
    text = sentence(compared(-0.02, 0.0499, asked(margin=0.05)))
    assert text.startswith("No: between 2 fewer and 4.99 more") or "4.99" in text


def test_where_nothing_differs_beyond_chance_equality_has_its_own_three_sentences() -> None:
    gate = asked(claim="equal", margin=0.02)
    assert sentence(compared(-0.01, 0.01, gate)).startswith("Yes: the two are equal for this purpose; ")
    assert sentence(compared(-0.03, 0.01, gate)).startswith("Not settled: whether the two are equal is open; ")
    assert sentence(compared(0.03, 0.05, gate)).startswith("No: the two are not equal; ")
    assert plain_answer(compared(0.03, 0.05, gate), CONTENT).next_step.startswith("Take “tuned”")
    assert plain_answer(compared(-0.05, -0.03, gate), CONTENT).next_step.startswith("Take “plain”")


def test_without_an_interval_the_sentence_speaks_of_these_images_alone() -> None:
    text = sentence(compared(None, None))
    assert text.startswith("Not settled: about 4 more of 100")
    assert text.endswith("never used; these images do not show how far that holds elsewhere.")


def test_the_point_rule_is_said_to_leave_luck_out() -> None:
    answer = plain_answer(compared(0.02, 0.06, asked(rule="point")), CONTENT)
    assert answer.sentence.startswith("Yes: by the rule that was agreed on, which leaves luck out: ")
    assert any("luck" in line for line in answer.does_not_say)


def test_what_a_range_and_a_group_are_is_said_where_the_answer_has_one() -> None:
    ranged = plain_answer(compared(0.0830, 0.1794), CONTENT)
    assert "8 to 18 more" in ranged.sentence and ranged.terms == (ONE_GROUP, RANGE)
    assert RANGE not in plain_answer(compared(0.02, 0.06, asked(rule="point")), CONTENT).terms
    assert RANGE not in plain_answer(compared(None, None), CONTENT).terms


def test_a_claim_under_the_point_rule_names_the_number_that_the_rule_went_by() -> None:
    gate = claimed("recall", 0.92, 0.71, 0.97, word="PASS", trained=True)
    text = sentence(replace(gate, gate=replace(gate.gate, rule="point")))
    assert text.startswith("Yes: about 92 of 100 objects are found with “plain” (asked for: at least 90)")


def test_a_contaminated_lockbox_makes_it_yes_with_a_reservation_and_asks_for_new_images() -> None:
    gate = compared(0.08, 0.18)
    gate = replace(gate, verdict=replace(gate.verdict, caveats=(f"{CONTAMINATED} bench.test was opened 3 times",)))
    answer = plain_answer(gate, CONTENT)
    assert answer.sentence.startswith("Yes, with a reservation: ")
    assert "that had been looked at before" in answer.sentence and "never used" not in answer.sentence
    assert "nobody has looked at" in answer.next_step


def test_a_confounded_pass_does_not_credit_the_change_that_was_tried() -> None:
    gate = compared(0.08, 0.18, differences=("epochs: 10 and 20",))
    answer = plain_answer(gate, CONTENT)
    assert answer.sentence.startswith("Yes, with a reservation: ")
    assert "also differ in epochs: 10 and 20" in answer.does_not_say[0]
    assert "the same in epochs" in answer.next_step
    declared = replace(gate, gate=replace(gate.gate, differ=("recipe.epochs",)))
    assert plain_answer(declared, CONTENT).sentence.startswith("Yes: ")


def test_images_that_training_saw_are_never_said_to_be_unseen() -> None:
    assert "choose the best moment of training" in sentence(compared(0.08, 0.18, asked(on="bench.val")))
    assert "of the training data" in sentence(compared(0.08, 0.18, asked(on="bench.train")))
    leak = next(one for one in sample().findings)
    leaky = replace(CONTENT, findings=(replace(leak, id="splits.leak_group", severity="warning"),))
    answer = plain_answer(compared(0.08, 0.18), leaky)
    assert "never used" not in answer.sentence
    assert any("splits.leak_group" in line for line in answer.does_not_say)
    assert "never used" not in sentence(compared(0.08, 0.18), replace(CONTENT, checked=False))
    untrained = compared(0.08, 0.18)
    untrained = replace(untrained, arms=tuple(replace(arm, by_seed={}) for arm in untrained.arms))
    assert "never used" not in sentence(untrained), "what a bought model was trained on is unknown"


def added(low: float, high: float, control: str = "without") -> Contribution:
    comparison = compared(low, high).comparison
    assert comparison is not None
    return Contribution(comparison, control)


def test_a_pass_that_the_control_explains_says_so_and_what_to_keep() -> None:
    gate = claimed("recall", 0.94, 0.91, 0.97, word="PASS", trained=True)
    failed = replace(gate, verdict=replace(gate.verdict, word="FAIL"), contributions=(added(-0.09, -0.03),))
    harmed = plain_answer(failed, CONTENT)
    assert harmed.sentence.startswith(
        "No: “without”, made without the change that was tried, is better: 3 to 9 fewer of 100 objects are found "
        "with “plain” than with “without” (about 44 against 50); “plain” alone would be enough: 91 to 97 of 100 "
        "objects are found, where at least 90 was asked for, on 250 images"
    )
    assert harmed.next_step.startswith("Do not use “plain”: “without”, made without the change, does better.")
    unclear = plain_answer(replace(failed, contributions=(added(-0.09, 0.03),)), CONTENT)
    assert "the change that was tried is not shown to add anything: between 9 fewer and 3 more" in unclear.sentence
    assert unclear.next_step.startswith("Do not use “plain”: it is not shown to do better than “without”")
    marginal = replace(failed, verdict=replace(gate.verdict, word="MARGINAL"), contributions=(added(-0.01, 0.05),))
    assert sentence(marginal).startswith("Not settled: whether the change that was tried adds to it is open: between 1")


def test_of_several_controls_the_one_that_does_better_is_named() -> None:
    gate = claimed("recall", 0.94, 0.91, 0.97, word="PASS", trained=True)
    both = (added(-0.02, 0.01, "b"), added(-0.09, -0.03, "v1"))
    text = sentence(replace(gate, verdict=replace(gate.verdict, word="FAIL"), contributions=both))
    assert "“v1”, made without the change that was tried, is better" in text and "than with “v1”" in text


def test_a_control_that_an_older_ledger_does_not_name_is_not_guessed() -> None:
    gate = claimed("recall", 0.94, 0.91, 0.97, word="PASS", trained=True)
    failed = replace(gate, verdict=replace(gate.verdict, word="FAIL"), contributions=(added(-0.09, -0.03, ""),))
    answer = plain_answer(failed, CONTENT)
    assert "3 to 9 fewer of 100 objects are found than without it" in answer.sentence
    assert answer.next_step.startswith("Do not use “plain” for this yet.")


def test_a_pass_that_forgot_too_much_says_so() -> None:
    gate = compared(0.08, 0.18, asked(forget_at_most=0.02))
    worse = compared(-0.3, -0.2).comparison
    assert worse is not None
    failed = replace(gate, verdict=replace(gate.verdict, word="FAIL"), forgetting=(worse,))
    text = sentence(failed)
    assert text.startswith("No: the model has forgotten more of older data than is allowed: there 20 to 30 fewer")
    assert "although 8 to 18 more" in text


def test_a_word_that_the_numbers_do_not_explain_is_not_explained_away() -> None:
    gate = compared(0.08, 0.18)
    text = sentence(replace(gate, verdict=replace(gate.verdict, word="MARGINAL")))
    assert text.startswith("Not settled: ") and "the reasons are listed below" in text


def test_a_claim_that_could_not_be_measured_is_not_settled() -> None:
    gate = claimed("recall", 0.94, 0.91, 0.97, word="MARGINAL")
    assert "could not be measured" in sentence(replace(gate, claims=()))


def test_the_recipe_is_not_praised_for_one_training() -> None:
    gate = compared(0.08, 0.18)
    once = replace(gate, arms=tuple(replace(arm, by_seed={0: arm.by_seed[0]}) for arm in gate.arms))
    assert any("only one training was judged" in line for line in plain_answer(once, CONTENT).does_not_say)
    assert not any("gives the same result" in line for line in plain_answer(gate, CONTENT).does_not_say)


def test_what_settles_a_marginal_verdict_is_the_next_step() -> None:
    gate = compared(-0.01, 0.09)
    assert gate.comparison
    more = replace(gate, comparison=replace(gate.comparison, groups_needed=61))
    assert (
        "none of them to train on: from about 61 separate groups in all, where there are 18 now (images that belong "
        "together" in plain_answer(more, CONTENT).next_step
    )
    assert "may not settle it" in plain_answer(gate, CONTENT).next_step


def test_one_image_size_is_named_among_the_limits() -> None:
    size = tuple(MeasuredAt(arm, 640, 0.001, 0.7, "p") for arm in ("plain", "tuned"))
    lines = plain_answer(replace(compared(0.08, 0.18), measured_at=size), CONTENT).does_not_say
    assert any("another image size than 640" in line for line in lines)


def test_without_an_answer_it_says_why_and_what_to_run() -> None:
    content = replace(CONTENT, unanswered="the last run ended early (out of budget)", run_command="liftgate run s.yaml")
    answer = no_answer(content)
    assert answer.sentence == "No answer yet: the last run ended early (out of budget)."
    assert "`liftgate run s.yaml`" in answer.next_step

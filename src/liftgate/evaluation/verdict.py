"""Verdicts: PASS, MARGINAL or FAIL of a gate on a comparison or an evaluation, with one sentence that explains it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from liftgate.evaluation.metric_names import LATENCY, LESS_IS_BETTER
from liftgate.evaluation.records import Comparison, Evaluation, Verdict
from liftgate.stats.always_valid import always_valid_quantile
from liftgate.stats.distributions import t_quantile
from liftgate.stats.interval import MIN_GROUPS, Interval
from liftgate.stats.sample_size import groups_for_margin, groups_for_rate, groups_worth
from liftgate.stats.seeds import MIN_SEEDS
from liftgate.study.records import Claim, ClaimWord, Gate, Rule, VerdictWord

_BEST_TO_WORST: tuple[VerdictWord, ...] = ("PASS", "MARGINAL", "FAIL")
FEW_GROUPS = 10
"""Below this many informative groups a verdict carries a caveat"""
PUBLISHED = "published"
"""Method of published numbers, which have no interval"""
SETTLING_CHANCE = 0.8
"""Probability with which the number of groups that a verdict names would settle it"""


def decide(
    gain: Interval, margin: float, rule: Rule = "interval", claim: ClaimWord = "better", *, published: bool = False
) -> VerdictWord:
    """Return the verdict on a gain: the decision rule itself.

    Interval rule: PASS when the lower bound reaches the margin, FAIL when the upper bound is below it, else MARGINAL,
    so also when no interval can be established. Point rule: PASS from the margin up, MARGINAL from 0 to it, else FAIL;
    under five groups it never passes, except for published numbers, which have no groups, and a published rule that is
    replayed. Equal: PASS when the
    interval (of level 1 − 2α: two one-sided tests) lies inside ± margin, FAIL when it lies outside, else MARGINAL.

    Args:
        gain: the difference, with its sign such that more is better (`as_gain`).
        margin: the least gain that counts.
        rule: `interval` or `point`.
        claim: `better` or `equal`.
        published: whether a published rule is replayed.

    >>> [decide(Interval((a + b) / 2, a, b, .95, "t", 100, 20), 2.0) for a, b in [(2.1, 4), (.5, 3), (-1, 1.5)]]
    ['PASS', 'MARGINAL', 'FAIL']
    """
    if rule == "point":
        word: VerdictWord = "PASS" if gain.estimate >= margin else "MARGINAL" if gain.estimate >= 0 else "FAIL"
        return "MARGINAL" if word == "PASS" and not (published or _enough_for_points(gain)) else word
    if gain.low is None or gain.high is None:
        return "MARGINAL"
    if claim == "equal":
        outside = gain.low > margin or gain.high < -margin
        return "PASS" if -margin < gain.low and gain.high < margin else "FAIL" if outside else "MARGINAL"
    return "PASS" if gain.low >= margin else "FAIL" if gain.high < margin else "MARGINAL"


def _enough_for_points(gain: Interval) -> bool:
    """Return whether the point rule may pass: at least five informative groups, or published numbers."""
    return gain.method == PUBLISHED or gain.informative >= MIN_GROUPS


def as_gain(delta: Interval, metric: str) -> Interval:
    """Return the difference with its sign such that more is better."""
    return _negated(delta) if metric in LESS_IS_BETTER else delta


def _negated(delta: Interval) -> Interval:
    low = None if delta.high is None else -delta.high
    high = None if delta.low is None else -delta.low
    return replace(delta, estimate=-delta.estimate, low=low, high=high)


def groups_that_settle(gain: Interval, margin: float, claim: ClaimWord = "better") -> int | None:
    """Return how many groups would settle a MARGINAL verdict with a probability of SETTLING_CHANCE; None: none would.

    The measured difference is taken as the true one, and the variance between groups at its upper bound. The number is
    consistent with the interval: it counts effective groups (`groups_like`), and has the factor of a simultaneous one.
    """
    if gain.standard_error is None or gain.low is None or gain.high is None:
        return None
    effective = gain.n_groups if gain.groups_effective is None else gain.groups_effective
    at_every_look = gain.method == "always-valid-t"
    quantile = (always_valid_quantile(gain.level, gain.degrees, effective) if at_every_look
                else t_quantile(gain.level, gain.degrees))  # fmt: skip
    plain = quantile * gain.standard_error
    # For equality the interval must stay clear of the nearer end of ± margin.
    estimate = abs(gain.estimate) if claim == "equal" else gain.estimate
    needed = groups_for_margin(
        estimate, margin, gain.standard_error * math.sqrt(effective), gain.level, chance=SETTLING_CHANCE,
        degrees=gain.degrees, factor=(gain.high - gain.low) / (2 * plain), always_valid=at_every_look,
    )  # fmt: skip
    return groups_like(gain, needed)


def groups_like(interval: Interval, even: int | None) -> int | None:
    """Return how many groups like those of the interval are worth so many even ones, more than there are; None: none.

    Groups that do not inform the number stay as frequent as they are, and sizes as uneven.
    """
    informative = max(1, interval.informative)
    effective = informative if interval.groups_effective is None else interval.groups_effective
    groups = groups_worth(even, informative, effective, interval.largest_group_share)
    return None if groups is None else max(interval.n_groups + 1, math.ceil(groups * interval.n_groups / informative))


def explain_verdict(
    metric: str,
    delta: Interval,
    margin: float,
    rule: Rule,
    names: tuple[str, str],
    claim: ClaimWord = "better",
    settled_by: str = "",
    published: str | None = None,
) -> str:
    """Return the sentence that explains the verdict on a comparison.

    Args:
        metric: name of the metric.
        delta: treatment − control.
        margin: the least gain that counts.
        rule: `interval` or `point`.
        names: of control and treatment.
        claim: `better` or `equal`.
        settled_by: what would settle it, in words; empty: a number of groups is computed.
        published: where the point rule was published that is replayed; None: none is.
    """
    control, treatment = names
    gain = as_gain(delta, metric)
    word = decide(gain, margin, rule, claim, published=published is not None)
    sentence_start = (
        f"{metric} of {treatment} is {_difference_text(gain.estimate, metric)} {control}'s{_evidence_text(delta)}"
    )
    wanted = f"the margin {margin:g}"
    if rule == "point":
        reached = gain.estimate >= margin and word == "MARGINAL"
        points = _FEW_FOR_POINTS if reached else _POINT_WORDS[word].format(margin=wanted)
        return f"{sentence_start}; {_point_rule_text(published)}: {points}."
    if not delta.established:
        return f"{sentence_start}: nothing is settled, {delta.note or 'no interval can be established'}."
    if claim == "equal":
        return f"{sentence_start}: {_explain_equality(word, margin, settled_by or _what_settles(gain, margin, claim))}."
    if word == "PASS":
        return f"{sentence_start}: the whole interval reaches {wanted}."
    if word == "FAIL":
        harm = f"; {treatment} harms" if gain.high is not None and gain.high < 0 else ""
        return f"{sentence_start}: the whole interval is below {wanted}{harm}."
    return f"{sentence_start}: the interval holds {wanted}; {settled_by or _what_settles(gain, margin, claim)}."


def _explain_equality(word: VerdictWord, margin: float, settled_by: str) -> str:
    if word == "PASS":
        return f"the whole interval lies within ± {margin:g}, which was declared to be equal"
    if word == "FAIL":
        return f"the whole interval lies outside ± {margin:g}: they are not equal"
    return f"the interval reaches beyond ± {margin:g}, so equality is not shown; {settled_by}"


def _what_settles(gain: Interval, margin: float, claim: ClaimWord) -> str:
    groups = groups_that_settle(gain, margin, claim)
    if groups is None:
        return "more groups would not settle it"
    return f"about {groups} groups would settle it with {SETTLING_CHANCE:.0%} chance if that is the true difference"


def judge_comparison(
    gate: Gate, comparison: Comparison, *, seeds: Sequence[int] = (0,), costs: Mapping[str, str] | None = None
) -> Verdict:
    """Return the verdict of a gate on a comparison.

    Args:
        gate: the gate.
        comparison: of its control and treatment.
        seeds: seeds that the arms were trained with.
        costs: arm → training time in words ("43 h"), appended to the sentence so that gain and cost are seen together.
    """
    names = (gate.control or "control", gate.treatment or "treatment")
    metric = gate.metric or comparison.metric
    gain = as_gain(comparison.delta, metric)
    word = decide(gain, gate.margin, gate.rule, gate.claim, published=gate.published is not None)
    unsettled = word == "MARGINAL" and gate.rule == "interval"
    needed = groups_that_settle(gain, gate.margin, gate.claim) if unsettled else None
    if comparison.settled_by:
        needed = comparison.groups_needed
    explanation = explain_verdict(
        metric, comparison.delta, gate.margin, gate.rule, names, gate.claim, comparison.settled_by, gate.published
    )
    sentence = f"{word}: {explanation}"
    if comparison.label_errors is not None:
        sentence += f" {comparison.label_errors.text}"
    if costs:
        sentence += " Cost: " + ", ".join(f"{arm} {cost}" for arm, cost in costs.items()) + "."
    row = comparison.to_dict() | {
        "kind": "comparison",
        "margin": gate.margin,
        "rule": gate.rule,
        "claim": gate.claim,
        "word": word,
        "groups_needed": needed,
    }
    sample = _sample_caveats(comparison.delta, gate.published)
    caveats = [*sample, *_seed_caveats(seeds), *comparison.caveats]
    declared = {word.rpartition(".")[2] for word in gate.differ}
    undeclared = [line for line in comparison.differences if line.partition(":")[0] not in declared]
    if undeclared:
        caveats.append("confounded: the arms also differ in " + "; ".join(undeclared))
    return Verdict(gate.name, gate.content_hash(), word, sentence, (row,), tuple(caveats))


def judge_claims(gate: Gate, evaluation: Evaluation, *, seeds: Sequence[int] = (0,)) -> Verdict:
    """Return the verdict of a gate on one model against fixed thresholds: the worst of its claims decides.

    Args:
        gate: the gate with its claims.
        evaluation: of the model.
        seeds: seeds that the arm was trained with.
    """
    rows = [_claim_row(claim, evaluation, gate.rule, gate.published) for claim in gate.claims]
    words: list[VerdictWord] = [row["word"] for row in rows]
    word: VerdictWord = max(words, key=_BEST_TO_WORST.index, default="MARGINAL")
    if len(rows) == 1:  # the verdict begins with its word
        rows[0]["sentence"] = rows[0]["sentence"].replace(f": {word}", "", 1)
    parts = "; ".join(row["sentence"] for row in rows)
    intervals = [evaluation.intervals[claim.metric] for claim in gate.claims if claim.metric in evaluation.intervals]
    sample = dict.fromkeys(text for one in intervals for text in _sample_caveats(one, gate.published))
    remarks = [str(evaluation.settings[name]) for name in ("left_out", "groups") if name in evaluation.settings]
    caveats = (*sample, *_seed_caveats(seeds), *remarks)
    return Verdict(gate.name, gate.content_hash(), word, f"{word}: {parts}.", tuple(rows), caveats)


def attribute(verdict: Verdict, contribution: Comparison, *, control: str = "") -> Verdict:
    """Limit a verdict on fixed thresholds by what the treatment itself contributed: treatment − control.

    A gate that passes while that contribution is not positive becomes FAIL, "the control explains it"; where the
    contribution is positive but its interval includes 0, the verdict is at most MARGINAL.

    Args:
        verdict: of the gate on the treatment.
        contribution: comparison of the treatment with the control.
        control: name of the control; empty: "the control".
    """
    gain = as_gain(contribution.delta, contribution.metric)
    row = {"kind": "attribution", "control_arm": control, **contribution.to_dict()}
    if verdict.word == "FAIL":
        return replace(verdict, evidence=(*verdict.evidence, row))
    amount = _difference_text(gain.estimate, contribution.metric)
    share = f"{contribution.metric} {amount} {control or 'the control'}{_evidence_text(contribution.delta)}"
    if gain.estimate <= 0:
        word: VerdictWord = "FAIL"
        why = f"the gate says {verdict.word}, but the control explains it: the treatment's own contribution is {share}."
    elif gain.low is not None and gain.low > 0:
        return replace(verdict, evidence=(*verdict.evidence, row))
    else:
        word = "MARGINAL"
        why = f"the gate says {verdict.word}, but the treatment's own contribution, {share}, is not established."
    return replace(verdict, word=word, sentence=f"{word}: {why}", evidence=(*verdict.evidence, row))


_FEW_FOR_POINTS = f"under {MIN_GROUPS} groups with information point values do not pass"

_POINT_WORDS: Mapping[VerdictWord, str] = {
    "PASS": "at or above {margin}",
    "MARGINAL": "not below the control, but short of {margin}",
    "FAIL": "below the control, the treatment harms",
}


def _point_rule_text(published: str | None) -> str:
    return "point rule" if published is None else f"point rule replayed as published ({published})"


def _claim_row(claim: Claim, evaluation: Evaluation, rule: Rule, published: str | None) -> dict[str, Any]:
    value, interval = evaluation.metrics.get(claim.metric), evaluation.intervals.get(claim.metric)
    threshold, side = (claim.at_least, "at least") if claim.at_most is None else (claim.at_most, "at most")
    assert threshold is not None
    word: VerdictWord
    row: dict[str, Any] = {"kind": "claim", "metric": claim.metric, "value": value, "threshold": threshold}
    row |= {"side": side}
    if value is not None and interval is None and claim.metric == LATENCY:
        word = "PASS" if (value <= threshold if side == "at most" else value >= threshold) else "FAIL"
        sentence = f"{claim.metric} {value:.4g} (as measured when predicting, no interval) against {side} {threshold:g}"
        rest: dict[str, Any] = {
            "interval": [None, None],
            "word": word,
            "images_needed": None,
            "groups_needed": None,
        }
        sample = {"n_images": evaluation.n_images, "n_groups": evaluation.n_groups}
        rest |= {"method": "as measured", **sample, "design_effect": None, "n_effective": None}
        return row | rest | {"sentence": f"{sentence}: {word}"}
    if value is None or interval is None:
        return row | {
            "interval": [None, None],
            "word": "MARGINAL",
            "images_needed": None,
            "groups_needed": None,
            "sentence": _undefined_text(claim.metric, evaluation),
        }
    gain, wanted = (interval, threshold) if claim.at_most is None else (_negated(interval), -threshold)
    if rule == "point":
        passes = gain.estimate >= wanted
        word = "FAIL" if not passes else "PASS" if published or _enough_for_points(gain) else "MARGINAL"
    else:
        word = decide(gain, wanted)
    groups = _groups_for_claim(interval, threshold) if word == "MARGINAL" and rule == "interval" else None
    images = None if groups is None else math.ceil(groups * interval.n_images / interval.n_groups)
    sentence = f"{claim.metric} {value:.4f}{_evidence_text(interval)} against {side} {threshold:g}: {word}"
    if groups is not None:
        sentence += f", about {images} images in {groups} groups would settle it with {SETTLING_CHANCE:.0%} chance"
    elif rule == "point" and published:
        sentence += f", {_point_rule_text(published)}"
    elif word == "MARGINAL" and rule == "point":
        sentence += f", {_FEW_FOR_POINTS}"
    elif word == "MARGINAL" and not interval.established:
        sentence += f", {interval.note}"
    elif word == "FAIL" and claim.at_most is None and interval.method == "korn-graubard":
        sentence += describe_groups_needed(interval, threshold)
    return row | {
        "interval": [interval.low, interval.high],
        "word": word,
        "images_needed": images,
        "groups_needed": groups,
        "sentence": sentence,
        "method": interval.method,
        "n_images": interval.n_images,
        "n_groups": interval.n_groups,
        "design_effect": interval.design_effect,
        "n_effective": interval.n_effective,
        "groups_informative": interval.groups_informative,
        "groups_effective": interval.groups_effective,
        "largest_group_share": interval.largest_group_share,
    }


def _undefined_text(metric: str, evaluation: Evaluation) -> str:
    if metric == LATENCY:
        return "how long an image takes was not recorded with these predictions"
    return f"{metric} is undefined on these {evaluation.n_images} images"


def describe_groups_needed(interval: Interval, wanted: float) -> str:
    """Return how much such data would show the claim for a model half-way between it and perfect; empty: unknown."""
    if not 0 < wanted < 1:
        return ""
    true = (1 + wanted) / 2
    groups = _groups_for_claim(replace(interval, estimate=true), wanted)
    if groups is None:
        return ""
    images = math.ceil(groups * interval.n_images / interval.n_groups)
    return f" (to be sure of {wanted:g} where the truth is {true:g} takes about {images} images in {groups} groups)"


def _groups_for_claim(interval: Interval, threshold: float) -> int | None:
    """Return the groups that would settle a claim about one model, above or below the threshold; None: none would."""
    if interval.low is None or interval.high is None:
        return None
    effective = interval.n_groups if interval.groups_effective is None else interval.groups_effective
    if interval.method == "korn-graubard" and interval.n_effective:
        correction = (t_quantile(interval.level, interval.degrees) / t_quantile(interval.level, 1e9)) ** 2
        worth = interval.n_effective / effective * (correction if 0 < interval.estimate < 1 else 1)
        needed = groups_for_rate(interval.estimate, threshold, worth, interval.level, chance=SETTLING_CHANCE)
        return groups_like(interval, needed)
    if interval.standard_error is None:  # a median, or a count of zero: from half the width of its interval
        width = (interval.high - interval.low) / 2
        interval = replace(interval, standard_error=width / t_quantile(interval.level, interval.degrees))
    return groups_that_settle(interval, threshold)


def _difference_text(gain: float, metric: str) -> str:
    if gain == 0:
        return "the same as"
    side = "above" if (gain > 0) != (metric in LESS_IS_BETTER) else "below"
    return f"{abs(gain):.4f} {side}"


def _evidence_text(interval: Interval) -> str:
    """Return interval, method and sample of a number, in brackets."""
    if not interval.n_images:
        return f" ({interval.note})"
    bounds = f" [{interval.low:.4f}, {interval.high:.4f}]" if interval.established else ""
    return f"{bounds} ({interval.basis})"


def _sample_caveats(interval: Interval, published: str | None) -> list[str]:
    if not interval.n_images:  # published numbers: the sentence says that there is no interval
        return []
    count = interval.informative
    some = f"{count} groups" if count == interval.n_groups else f"{count} of {interval.n_groups} groups inform it"
    if count < MIN_GROUPS:
        replayed = "" if published is None else f"; judged by point values because {published} did"
        return [f"only {some}: no interval can be established, {MIN_GROUPS} are the least{replayed}"]
    notes = [interval.note] if interval.established and interval.note else []
    return [*notes, f"only {some}: the interval itself is uncertain"] if count < FEW_GROUPS else notes


def _seed_caveats(seeds: Sequence[int]) -> list[str]:
    if len(seeds) == 1:
        return ["one seed: this speaks of this checkpoint, not of the recipe"]
    few = 1 < len(seeds) < MIN_SEEDS
    return [f"{len(seeds)} seeds: {MIN_SEEDS} are the least for a claim about the recipe"] if few else []

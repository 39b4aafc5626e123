"""The first screen: a verdict as one plain sentence, what it does not say, and what to do next.

A sentence never says more than the verdict. Ends of intervals are rounded outwards, and where a word cannot be
explained by the numbers that are shown, the sentence names the reason that lowered it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from liftgate.evaluation.records import Comparison
from liftgate.evaluation.verdict import FEW_GROUPS, SETTLING_CHANCE, as_gain, decide
from liftgate.ledger.records import CONTAMINATED
from liftgate.reporting.content import ClaimContent, Contribution, GateContent, ReportContent
from liftgate.reporting.difference_words import asked_for, both_values, change_in_words, with_unit
from liftgate.reporting.metric_words import words_of
from liftgate.reporting.number_format import about, exact, outward
from liftgate.stats.interval import Interval
from liftgate.stats.seeds import MIN_SEEDS
from liftgate.study.records import VerdictWord

_BEST_TO_WORST: tuple[VerdictWord, ...] = ("PASS", "MARGINAL", "FAIL")
ONE_GROUP = "images that belong together, such as frames of one video, count as one group"
RANGE = "the range in the answer allows for the luck of which images these are"
_FINDINGS = "what stands under “Findings” below"
_START = {"PASS": "Yes", "MARGINAL": "Not settled", "FAIL": "No"}


@dataclass(frozen=True, slots=True)
class PlainAnswer:
    """A verdict for somebody who knows no statistics."""

    asked: str
    """The question of the gate, which the sentence answers with yes or no; empty: there is no answer"""
    sentence: str
    does_not_say: tuple[str, ...]
    next_step: str
    terms: tuple[str, ...] = ()
    """What its words mean: a range, a group"""


def plain_answer(gate: GateContent, content: ReportContent) -> PlainAnswer:
    """Return the plain sentence of a gate's verdict, its limits and the next step.

    Args:
        gate: the gate with its verdict.
        content: the report that it is part of: its findings limit what may be said of the images.
    """
    body = _comparison_sentence(gate) if gate.comparison is not None else _claims_sentence(gate)
    start = _START[gate.verdict.word]
    if gate.verdict.word == "PASS" and (_is_contaminated(gate) or _undeclared(gate)):
        start = "Yes, with a reservation"
    far = "; these images do not show how far that holds elsewhere" if _has_no_interval(gate) else ""
    sentence, next_step = f"{start}: {body}{_on(gate, content)}{far}.", _next_step(gate)
    used = (("separate group" in sentence and ONE_GROUP not in next_step, ONE_GROUP), (_has_range(gate), RANGE))
    terms = tuple(text for is_used, text in used if is_used)
    return PlainAnswer(_asked(gate), sentence, tuple(_limits(gate, content)), next_step, terms)


def no_answer(content: ReportContent) -> PlainAnswer:
    """Return what stands in place of an answer where the study has none yet."""
    again = content.run_command or "liftgate run STUDY"
    reason = content.unanswered or "no gate has been judged yet"
    limits = (
        ("The figures below are parts of the way there; none of them answers the question.",) if content.gates else ()
    )
    return PlainAnswer("", f"No answer yet: {reason}.", limits, f"Run `{again}`: it goes on from what there is.")


def _asked(content: GateContent) -> str:
    gate = content.gate
    if not gate.is_comparison:
        enough = f"Is {quoted(gate.arm)} good enough"
        controls = [quoted(one.control) for one in content.contributions if one.control]
        return f"{enough}, and better than {' and '.join(controls)}?" if controls else f"{enough}?"
    treatment, control = quoted(gate.treatment), quoted(gate.control)
    if gate.claim == "equal":
        return f"Are {treatment} and {control} equally good?"
    if gate.margin < 0:
        return f"Is {treatment} worse than {control} by no more than was allowed?"
    return f"Is {treatment} better than {control}" + (" by enough to count?" if gate.margin > 0 else "?")


def quoted(arm: str | None) -> str:
    """Return an arm's name in quotation marks: `a` alone would be read as a word of the sentence."""
    return f"“{arm}”"


def _comparison_sentence(gate: GateContent) -> str:
    comparison, asked = gate.comparison, gate.gate
    assert comparison is not None
    delta, metric = comparison.delta, comparison.metric
    expected = decide(
        as_gain(delta, metric), comparison.margin, asked.rule, comparison.claim, published=asked.published is not None
    )
    than = f" with {quoted(asked.treatment)} than with {quoted(asked.control)}"
    change = words_of(metric).difference.format(range=change_in_words(delta, comparison), objects=_objects(gate)) + than
    if expected != gate.verdict.word:
        reason = _reason(gate)
        return f"{reason}, although {change}" if reason else f"{change}; the reasons are listed below"
    if asked.rule == "point":
        return f"by the rule that was agreed on, which leaves luck out: {change}{asked_for(comparison)}"
    if not delta.established:
        return change
    if comparison.claim == "equal":
        return _equality_sentence(gate.verdict.word, change, comparison)
    gain = as_gain(delta, metric)
    worse = gate.verdict.word == "FAIL" and gain.high is not None and gain.high < 0
    measured = both_values(comparison)
    return (
        f"it is worse; {change}{measured and f' ({measured})'}"
        if worse
        else f"{change}{asked_for(comparison, measured)}"
    )


def _has_range(gate: GateContent) -> bool:
    """Return whether the sentence goes by an interval, which it writes as a range of numbers."""
    return gate.gate.rule == "interval" and not _has_no_interval(gate) and (bool(gate.claims) or bool(gate.comparison))


def _has_no_interval(gate: GateContent) -> bool:
    """Return whether the verdict rests on a value without an interval, of which no rule of points was agreed."""
    values = [gate.comparison.delta] if gate.comparison is not None else [one.value for one in gate.claims]
    return gate.gate.rule == "interval" and any(not value.established for value in values)


def _equality_sentence(word: VerdictWord, change: str, comparison: Comparison) -> str:
    words = words_of(comparison.metric)
    bound = f"{with_unit(exact(comparison.margin, words.scale), words.more)} or {words.fewer}"
    return {
        "PASS": f"the two are equal for this purpose; {change} (equal means at most {bound})",
        "MARGINAL": f"whether the two are equal is open; {change} (equal means at most {bound})",
        "FAIL": f"the two are not equal; {change} (equal means at most {bound})",
    }[word]


def _claims_sentence(gate: GateContent) -> str:
    if gate.verdict.word not in _words_of_claims(gate) and (reason := _reason(gate)):
        return reason
    worst = [one for one in gate.claims if one.word == gate.verdict.word]
    if not worst:
        missing = " and ".join(one.metric for one in gate.gate.claims)
        return f"{missing} could not be measured on these images with {quoted(gate.gate.arm)}"
    shown = worst if gate.verdict.word != "PASS" else list(gate.claims)
    return " and ".join(_claim_sentence(one, gate) for one in shown)


def _words_of_claims(gate: GateContent) -> Sequence[VerdictWord]:
    """Return the word that the claims alone give; nothing where a claim could not be measured."""
    if len(gate.claims) < len(gate.gate.claims):
        return ("MARGINAL", "FAIL") if any(one.word == "FAIL" for one in gate.claims) else ("MARGINAL",)
    words = [one.word for one in gate.claims]
    return [max(words, key=_BEST_TO_WORST.index)] if words else ["MARGINAL"]


def _claim_sentence(claim: ClaimContent, gate: GateContent) -> str:
    return f"{_measured(claim, gate)} with {quoted(gate.gate.arm)} (asked for: {_bound(claim)})"


def _measured(claim: ClaimContent, gate: GateContent) -> str:
    """Return what was measured: its interval, or the value alone where there is none or the rule goes by it."""
    words, value = words_of(claim.metric), claim.value
    if value.low is None or value.high is None or gate.gate.rule == "point":
        amount = f"about {about(value.estimate, words.scale)}"
    else:
        low, high = outward(value.low, value.high, (claim.at_least,), words.scale)
        amount = low if low == high else f"{low} to {high}"
    return words.value.format(range=f"{amount}{words.unit}", objects=_objects(gate))


def _bound(claim: ClaimContent) -> str:
    words = words_of(claim.metric)
    return f"{claim.side} {exact(claim.at_least, words.scale)}{words.unit}"


def _objects(gate: GateContent) -> str:
    """Return what is looked for: the class where there is one, else `objects`."""
    classes = {name for arm in gate.arms if arm.evaluation for name in arm.evaluation.per_class}
    return f"“{classes.pop()}” objects" if len(classes) == 1 else "objects"


def _reason(gate: GateContent) -> str:
    """Return what lowered the verdict below its own numbers; empty: unknown."""
    unsure = [one for one in gate.contributions if not _is_positive(one.comparison)]
    forgot = [one for one in gate.forgetting if gate.gate.forget_at_most is not None]
    if gate.verdict.word == "FAIL" and (nothing := _brings_nothing(gate)):
        enough = " and ".join(f"{_measured(one, gate)}, where {_bound(one)} was asked for" for one in gate.claims)
        alone = f"; {quoted(gate.gate.arm)} alone would be enough: {enough}"
        brought = "the change that was tried is not shown to add anything"
        if _is_negative(nothing.comparison):
            control = (
                nothing.control and f"{quoted(nothing.control)}, made without the change that was tried, is better"
            )
            brought = control or "the change that was tried made it worse"
        return f"{brought}: {_added(nothing, gate)}{alone if 'PASS' in _words_of_claims(gate) else ''}"
    if gate.verdict.word == "MARGINAL" and unsure:
        return f"whether the change that was tried adds to it is open: {_added(unsure[0], gate)}"
    if forgot:
        more = "may have" if gate.verdict.word == "MARGINAL" else "has"
        worst = min(forgot, key=lambda one: as_gain(one.delta, one.metric).estimate)
        return f"the model {more} forgotten more of older data than is allowed: there {_part(worst, 'before')}"
    return ""


def _brings_nothing(gate: GateContent) -> Contribution | None:
    """Return the contribution that fails a gate of claims, the one that harms first; None: there is none."""
    none = [one for one in gate.contributions if as_gain(one.comparison.delta, one.comparison.metric).estimate <= 0]
    return next((one for one in none if _is_negative(one.comparison)), none[0] if none else None)


def _added(contribution: Contribution, gate: GateContent) -> str:
    control = contribution.control
    than = f"with {quoted(gate.gate.arm)} than with {quoted(control)}" if control else "than without it"
    comparison = contribution.comparison
    change = change_in_words(comparison.delta, comparison)
    both = both_values(comparison)
    text = words_of(comparison.metric).difference.format(range=change, objects="objects")
    return f"{text} {than}{both and f' ({both})'}"


def _is_negative(comparison: Comparison) -> bool:
    high = as_gain(comparison.delta, comparison.metric).high
    return high is not None and high < 0


def _is_positive(comparison: Comparison) -> bool:
    low = as_gain(comparison.delta, comparison.metric).low
    return low is not None and low > 0


def _part(comparison: Comparison, than: str) -> str:
    text = words_of(comparison.metric).difference
    return text.format(range=change_in_words(comparison.delta, comparison), objects="objects") + f" than {than}"


def _on(gate: GateContent, content: ReportContent) -> str:
    """Return the images in words, and whether training saw them, as far as that is known."""
    basis = gate.comparison.delta if gate.comparison is not None else next((one.value for one in gate.claims), None)
    if basis is None or not basis.n_images:
        return ""
    images = f"{basis.n_images:,} image{'s' * (basis.n_images != 1)}"
    many = basis.n_groups < basis.n_images
    groups = f" from {basis.n_groups:,} separate group{'s' * (basis.n_groups != 1)}" if many else ""
    return f", on {images}{groups}{_seen(gate, content)}"


def _seen(gate: GateContent, content: ReportContent) -> str:
    split = gate.gate.on.rpartition(".")[2]
    if _is_contaminated(gate):
        return " that had been looked at before"
    if split == "train":
        return " of the training data"
    if not any(arm.by_seed for arm in gate.arms):
        return ""  # what an off-the-shelf model was trained on is unknown
    if split == "val":
        return " that were used to choose the best moment of training"
    return " that training never used" if split == "test" and content.checked and not _leaks(content) else ""


def _limits(gate: GateContent, content: ReportContent) -> Iterator[str]:
    """Yield what the verdict does not say, the gravest first."""
    split = gate.gate.on.rpartition(".")[2]
    if differing := _undeclared(gate):
        yield f"That the change that was tried is the cause: the two also differ in {'; '.join(differing)}."
    if _is_contaminated(gate):
        yield f"That it holds on new images: {gate.gate.on} was looked at more often than was declared."
    if split in ("train", "val"):
        use = "trained on" if split == "train" else "used to choose the best moment of training"
        yield (
            f"How good it is on new images: these were {use}, so the numbers may look better than they are; images "
            "kept apart (a test split) would tell."
        )
    if found := _leaks(content):
        yield f"That training never saw these images: {', '.join(dict.fromkeys(found))} is among the findings."
    if gate.late:
        yield "That the rule was set before the numbers: it was changed after a first verdict."
    yield from _repetition_limits(gate)
    if gate.gate.rule == "point":
        yield "Whether it could be luck: the rule that was agreed on takes the measured numbers as they are."
    metrics = [gate.comparison.metric] if gate.comparison else [one.metric for one in gate.gate.claims]
    blind = dict.fromkeys(words_of(metric).blind_to for metric in metrics)
    if len(metrics) == 1:
        yield f"{next(iter(blind)).capitalize()}."
    sizes = {str(one.imgsz) for one in gate.measured_at if one.imgsz is not None}
    if len(sizes) == 1:
        yield f"How it does at another image size than {sizes.pop()}, with other cameras or in other places."
    else:
        yield "How it does with other cameras or in other places than those in these images."


def _repetition_limits(gate: GateContent) -> Iterator[str]:
    trained = [len(arm.by_seed) for arm in gate.arms if arm.by_seed]
    least = min(trained, default=MIN_SEEDS)
    if gate.comparison is None and trained:
        least = 1  # claims are asked of the first seed alone
    if least < MIN_SEEDS:
        judged = "one training was" if least == 1 else f"{least} trainings were"
        yield f"Whether training again in the same way gives the same result: only {judged} judged."
    basis = gate.comparison.delta if gate.comparison else next((one.value for one in gate.claims), None)
    if basis is not None and basis.n_images and basis.informative < FEW_GROUPS:
        yield f"Much beyond these images: only {basis.informative} separate groups of them tell anything about it."


def _undeclared(gate: GateContent) -> list[str]:
    """Return what differs between the arms although the gate did not declare it."""
    declared = {name.rpartition(".")[2] for name in gate.gate.differ}
    lines = gate.comparison.differences if gate.comparison else ()
    return [line for line in lines if line.partition(":")[0] not in declared]


def _is_contaminated(gate: GateContent) -> bool:
    """Return whether the images had been looked at more often than was declared."""
    return any(caveat.startswith(CONTAMINATED) for caveat in gate.verdict.caveats)


def _leaks(content: ReportContent) -> list[str]:
    """Return the ids of findings which say that training may know the images, ignored ones too."""
    found = (*content.findings, *(one.finding for one in content.ignored))
    return [one.id for one in found if one.severity != "info" and one.id.startswith(("splits.leak", "splits.same"))]


def _next_step(gate: GateContent) -> str:
    if _is_contaminated(gate):
        return "Measure once more on images that nobody has looked at before acting on this."
    if undeclared := _undeclared(gate):
        names = ", ".join(line.partition(":")[0] for line in undeclared)
        return f"Make both arms the same in {names}, and run again before acting on this."
    return _after_comparison(gate) if gate.comparison is not None else _after_claims(gate)


def _after_comparison(gate: GateContent) -> str:
    comparison, asked = gate.comparison, gate.gate
    assert comparison is not None
    control, treatment = quoted(asked.control), quoted(asked.treatment)
    if gate.verdict.word == "MARGINAL":
        return _to_settle(comparison.settled_by, comparison.groups_needed, comparison.delta)
    if comparison.claim == "equal":
        if gate.verdict.word == "PASS":
            return f"Take whichever of {control} and {treatment} is simpler, faster or cheaper."
        better = treatment if as_gain(comparison.delta, comparison.metric).estimate > 0 else control
        return f"Take {better}, unless the other is worth its lower score."
    if gate.verdict.word == "PASS":
        return f"Take {treatment}; before it replaces a model in use, try it beside that model on new images."
    if _is_negative(comparison):
        return f"Keep {control}. Look at {_FINDINGS}, and at the images that became worse, before training again."
    return f"Keep {control}, unless a smaller gain than was asked for is worth its cost."


def _after_claims(gate: GateContent) -> str:
    arm, trained = quoted(gate.gate.arm), any(one.by_seed for one in gate.arms)
    if gate.verdict.word == "PASS":
        if trained:
            return f"Use {arm}; before it replaces a model in use, try it beside that model on new images."
        return f"Use {arm} as it is: what was asked for needs no training."
    if gate.verdict.word == "MARGINAL":
        open_ = [one for one in gate.claims if one.word == "MARGINAL"]
        groups = [one.groups_needed for one in open_ if one.groups_needed is not None]
        return _to_settle("", max(groups, default=None), open_[0].value if open_ else None)
    if (nothing := _brings_nothing(gate)) and nothing.control:
        return _without(arm, nothing)
    if trained:
        return f"Do not use {arm} for this yet. Look at its worst images, and at {_FINDINGS}, before training again."
    return f"{arm} is not enough as it is: train on images of your own, and ask again."


def _without(arm: str, nothing: Contribution) -> str:
    control = quoted(nothing.control)
    if _is_negative(nothing.comparison):
        return (
            f"Do not use {arm}: {control}, made without the change, does better. Look at {_FINDINGS}, and at the "
            "images that became worse, before more is spent on it."
        )
    return f"Do not use {arm}: it is not shown to do better than {control}, which was made without the change."


def _to_settle(settled_by: str, groups: int | None, basis: Interval | None) -> str:
    if settled_by:
        return f"To settle it: {settled_by}. Until then, keep what you have."
    if groups is None or basis is None:
        return "More images of this kind may not settle it: keep what you have, or decide by cost."
    return (
        f"Until it is settled, keep what you have. To settle it, label more images to measure with, none of them to "
        f"train on: from about {groups:,} separate groups in all, where there are {basis.n_groups:,} now "
        f"({ONE_GROUP}). If the difference is what it looks like, a new run then settles it in "
        f"{SETTLING_CHANCE:.0%} of all cases."
    )

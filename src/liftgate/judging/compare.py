"""The paired verdict on two models from judgements: difference, interval by groups, and where its width comes from."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass

from liftgate.errors import UsageError
from liftgate.evaluation.group_hints import key_caveats
from liftgate.evaluation.records import Comparison
from liftgate.evaluation.spec import require_reachable_margin
from liftgate.evaluation.verdict import as_gain, decide, explain_verdict, groups_that_settle
from liftgate.judging.answers import Answers
from liftgate.judging.draw import Draw, Until
from liftgate.judging.estimate import JudgedDifference, judged_difference
from liftgate.judging.judged_metrics import JUDGED_METRICS, JudgedMetric
from liftgate.judging.outcomes import design_of, outcomes_of
from liftgate.judging.part import judged_part
from liftgate.stats.always_valid import always_valid_p_value
from liftgate.stats.differences import two_sided_p_value
from liftgate.stats.interval import Interval
from liftgate.study.records import ClaimWord
from liftgate.suggestions import suggestion


@dataclass(frozen=True, slots=True)
class Progress:
    """How far judging group by group has come."""

    groups: int
    """Judged so far"""
    all_groups: int
    questions_left: int
    more: int | None
    """About how many more answers would settle it with 80% chance; None: settled, or no number is known"""

    @property
    def enough(self) -> bool:
        """Whether the questions that are left may settle it."""
        return self.more is not None and self.more <= self.questions_left

    def text(self, verdict: str) -> str:
        """Return what to do next, in a sentence."""
        done = f"{self.groups} of {self.all_groups} groups judged"
        if verdict != "MARGINAL":
            return f"{done}: settled, stop here ({self.questions_left} questions are left)"
        if not self.questions_left:
            return f"{done}: nothing is left to judge, and it is not settled"
        if self.more is None:
            return f"{done}: go on ({self.questions_left} questions are left); how many it takes is not known yet"
        if self.enough:
            return f"{done}: go on, about {self.more} more answers would settle it ({self.questions_left} are left)"
        return (
            f"{done}: about {self.more} more answers would be needed, and only {self.questions_left} are left: these "
            "images are not expected to settle it"
        )


@dataclass(frozen=True, slots=True, repr=False)
class JudgedComparison:
    """A comparison by judgements, with what it rests on."""

    comparison: Comparison
    difference: JudgedDifference
    answers: Answers
    draw: str
    """Hash of the draw"""
    progress: Progress | None = None
    """Of a draw that may stop after any group"""

    @property
    def verdict(self) -> str:
        """PASS, MARGINAL or FAIL."""
        return self.comparison.verdict

    def to_dict(self) -> dict[str, object]:
        """Return plain JSON values: those of a comparison, and `judgements`."""
        found, shares = self.difference, self.difference.shares
        kappa = self.answers.kappa
        return self.comparison.to_dict() | {
            "judgements": {
                "draw": self.draw,
                "n_answers": len(self.answers.by_question),
                "people": list(self.answers.people),
                "n_unsure": self.answers.unsure,
                "conflicts": list(self.answers.conflicts),
                "kappa": None if kappa is None else kappa.estimate,
                "kappa_interval": None if kappa is None else [kappa.low, kappa.high],
                "n_shared": self.answers.n_shared,
                "seconds": self.answers.seconds,
                "true_positives": list(found.true_positives),
                "detections": list(found.detections),
                "objects_found": found.objects_found,
                "objects_missed": found.objects_missed,
                "doubt": found.doubt,
                "variance_shares": None if shares is None else shares._asdict(),
                "progress": None if self.progress is None else asdict(self.progress),
            }
        }

    def __repr__(self) -> str:
        return f"JudgedComparison({self.verdict}: {self.comparison.reason})"


def require_judged_metric(metric: str) -> JudgedMetric:
    """Return the metric if judgements can answer it.

    Raises:
        UsageError: it needs labels of every object and the score of every detection.
    """
    for known in JUDGED_METRICS:
        if known == metric:
            return known
    hint = (
        suggestion(metric, JUDGED_METRICS)
        or "average precision needs every detection of every score: label, or `data sample`"
    )
    raise UsageError(f"{metric} cannot be judged by yes or no", expected=", ".join(JUDGED_METRICS), hint=hint)


def require_judged_claim(asked: Until) -> None:
    """Refuse what no answers could settle, before the first of them is given.

    Raises:
        UsageError: a metric that judgements do not answer, a level or margin out of range, or a claim without a margin.
    """
    require_judged_metric(asked.metric)
    if not 0.5 < asked.level < 1:
        raise UsageError("a level lies between 0.5 and 1", got=asked.level, hint="95% is 0.95")
    if asked.claim == "equal" and not asked.margin > 0:
        raise UsageError("to be equal means to differ by less than a margin", got=asked.margin, hint="--margin 0.01")
    require_reachable_margin(asked.metric, asked.margin, asked.claim)


def compare_answers(
    draw: Draw,
    answers: Answers,
    *,
    metric: str = "recall",
    margin: float = 0.0,
    claim: ClaimWord = "better",
    level: float = 0.95,
) -> JudgedComparison:
    """Compare two models by the answers to a draw.

    Args:
        draw: the questions and their probabilities.
        answers: one to each of them.
        metric: one of JUDGED_METRICS.
        margin: the least gain that counts; of `equal`, the largest difference that counts as none.
        claim: `better` or `equal`.
        level: of the interval.

    Raises:
        UsageError: a metric that judgements do not answer, a claim without a margin, or nothing is defined.
    """
    judged = require_judged_metric(metric)
    part = draw if draw.until is None else judged_part(draw, answers.by_question)
    require_judged_claim(Until(metric, margin, claim, level))
    at = level if claim == "better" else round(2 * level - 1, 12)
    found = judged_difference(
        design_of(part), outcomes_of(part, answers), judged, at, always_valid=draw.until is not None
    )
    delta = found.delta
    if delta.estimate != delta.estimate:
        raise UsageError(f"{metric} is undefined here", hint="was any detection judged to be right?")
    gain = as_gain(delta, metric)
    word = decide(gain, margin, "interval", claim)
    needed = groups_that_settle(gain, margin, claim) if word == "MARGINAL" else None
    comparison = Comparison(
        metric=metric, control=found.control, treatment=found.treatment, delta=delta, margin=margin, claim=claim,
        verdict=word, reason=explain_verdict(metric, delta, margin, "interval", ("control", "treatment"), claim),
        groups_needed=needed, caveats=tuple(_caveats(part, answers, found)), p_value=_p_value(delta),
    )  # fmt: skip
    progress = None if draw.until is None else _progress(draw, part, needed)
    return JudgedComparison(comparison, found, answers, draw.hash, progress)


def _progress(draw: Draw, part: Draw, needed: int | None) -> Progress:
    """Return how far the judging is; the groups that are needed take as many answers as those that were judged."""
    judged = len({image.group for image in part.images})
    more = None if needed is None else math.ceil((needed - judged) * len(part.questions) / judged)
    return Progress(judged, len(draw.group_order), len(draw.questions) - len(part.questions), more)


def _p_value(delta: Interval) -> float | None:
    if not delta.established or delta.standard_error is None:
        return None
    if delta.method == "always-valid-t":
        effective = delta.n_groups if delta.groups_effective is None else delta.groups_effective
        return always_valid_p_value(delta.estimate / delta.standard_error, delta.degrees, effective)
    return two_sided_p_value(delta)


def _caveats(draw: Draw, answers: Answers, found: JudgedDifference) -> list[str]:
    notes = [
        f"judged, not labelled: {len(draw.questions)} answers about two models at confidence {draw.conf:g} and IoU "
        "0.5; it says nothing about other thresholds"
    ]
    if answers.unsure:
        many = "1 answer is" if answers.unsure == 1 else f"{answers.unsure} answers are"
        notes.append(f"{many} in doubt: together the difference may move by {found.doubt:.4f}, and the interval holds "
                     "both ends")  # fmt: skip
    if answers.conflicts:
        one = len(answers.conflicts) == 1
        many = "1 question was" if one else f"{len(answers.conflicts)} questions were"
        notes.append(f"{many} answered differently by two people, and count{'s' if one else ''} as unsure")
    notes += key_caveats([image.id for image in draw.images], [image.group for image in draw.images])
    return notes

"""Worth step: train an arm on nested shares of its groups, and say what more data would bring and cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from liftgate.errors import UsageError
from liftgate.evaluation.more_data import Amount, MeasuredImages, Worth, amount_of, require_near, worth_of
from liftgate.evaluation.records import Evaluation
from liftgate.evaluation.spec import STATISTICS
from liftgate.ledger.worth_records import AmountRow, WorthEntry
from liftgate.pipeline.context import Context
from liftgate.pipeline.notice import Notice
from liftgate.pipeline.parts import arm_of_parts, arm_on_part
from liftgate.pipeline.shares import Share, make_shares
from liftgate.pipeline.step import Results, Step
from liftgate.pipeline.steps.measuring import EvaluateStep
from liftgate.pipeline.steps.part_training import part_context
from liftgate.pipeline.steps.predicting import all_settings
from liftgate.pipeline.steps.training import TrainStep, train_steps
from liftgate.stats.power_law import Gain
from liftgate.study.records import Arm, FlowStep, Gate, WorthSpec, WorthWord


@dataclass(frozen=True, slots=True)
class _MeasuredShare:
    """A share, with the training and evaluation of every seed."""

    share: Share
    arm: Arm
    trained: tuple[TrainStep, ...]
    evaluated: tuple[EvaluateStep, ...]


class WorthStep(Step[WorthEntry]):
    """Says what more training data would bring."""

    KIND = "worth"
    RESULT = WorthEntry

    def __init__(self, context: Context, flow_step: FlowStep) -> None:
        """Plan a training, predictions and an evaluation of each share and seed; those of all are the arm's own."""
        assert flow_step.worth is not None
        study, self._spec = context.study, flow_step.worth
        self._context, self._arm = context, arm_of_parts(study, flow_step)
        self._dataset = self._arm.stages[0].data
        shares = make_shares(study, flow_step, context.datasets)
        self._measured = [_measured_share(context, self._arm, one, self._spec) for one in shares]
        inputs = {
            "shares": [[one.kind, one.share] for one in shares],
            "metric": self._spec.metric,
            "more": self._spec.more,
            "seconds_per_image": self._spec.seconds_per_image,
            **({} if self._spec.margin is None else {"margin": self._spec.margin}),
            "usd_per_hour": study.budget.usd_per_hour,
            "statistics": STATISTICS,
        }
        needs = tuple(step for one in self._measured for step in one.evaluated)
        super().__init__(f"worth of {self._dataset} by {self._arm.name}", inputs, needs)

    def work(self, results: Results) -> WorthEntry:
        """Continue the curve, and write the answer into the ledger."""
        context, spec = self._context, self._spec
        truth = context.datasets.truth(spec.on)
        rows = [self._row(one, results) for one in self._measured]
        entry = WorthEntry(
            step=self.key,
            dataset=self._dataset,
            arm=self._arm.name,
            metric=spec.metric,
            on=spec.on,
            n_images=len(truth.images),
            n_groups=len(set(truth.groups)),
            amounts=tuple(rows),
            more=require_near(rows[-1].images, spec.more),
            text="",
            seconds_per_image=spec.seconds_per_image,
        )
        margin = spec.margin
        if reason := self._unknown(rows, results):
            text = f"What more data of {self._dataset} would bring is not known: {reason}."
            entry = replace(entry, text=text, margin=margin, word=None if margin is None else "UNSURE")
        else:
            found = answer_of(entry, context.study.budget.usd_per_hour)
            gain, word = found.gain, None if margin is None else reaches(found.gain, margin)
            word = word if word is None or found.follows else "UNSURE"
            asked = "" if margin is None else f" Against a margin of {100 * margin:g} points: {word}."
            entry = replace(
                entry, text=found.text + asked, gain=gain.value, interval=(gain.low, gain.high), level=gain.level,
                margin=margin, word=word,
            )  # fmt: skip
        context.ledger.add(entry)
        context.notify(Notice("event", self.name, {"kind": "note", "message": entry.text}))
        return entry

    def _row(self, one: _MeasuredShare, results: Results) -> AmountRow:
        trained = one.share.trained
        seconds = [results.of(step).trained_seconds for step in one.trained]
        row = AmountRow(
            kind=one.share.kind,
            share=one.share.share,
            arm=one.arm.name,
            images=len(trained.images),
            groups=len(set(trained.groups)),
            seconds=round(sum(seconds) / len(seconds), 3),
        )
        found = [Evaluation.from_dict(dict(results.of(step).evaluation)) for step in one.evaluated]
        try:
            amount = amount_of(row.arm, row.images, found, self._spec.metric)
        except UsageError:
            return row
        return replace(row, value=amount.value, standard_error=amount.standard_error, seeds=amount.seeds)

    def _unknown(self, rows: Sequence[AmountRow], results: Results) -> str:
        """Return why the curve cannot be continued; empty: it can."""
        stopped = [one.arm.name for one in self._measured if any(results.of(s).word == "STOPPED" for s in one.trained)]
        if stopped:
            return f"the training of {stopped[0]} was stopped before its last epoch"
        without = [row.arm for row in rows if row.value is None]
        return f"{self._spec.metric} of {without[0]} on {self._spec.on} has no interval" if without else ""


def answer_of(
    entry: WorthEntry, usd_per_hour: float | None, *, more: int | None = None, seconds_per_image: float | None = None
) -> Worth:
    """Return what more data would bring, from the amounts that a study recorded.

    Args:
        entry: with a value of every amount.
        usd_per_hour: of the machine that trains; None: unknown.
        more: images beyond those at hand; None: as recorded.
        seconds_per_image: how long an image takes to label; None: as recorded.

    Raises:
        UsageError: more than four times the data are asked for.
    """
    return worth_of(
        entry.metric,
        MeasuredImages(entry.on, entry.n_images, entry.n_groups),
        [_amount(row) for row in entry.amounts if row.kind != "old"],
        more=entry.more if more is None else more,
        old=[_amount(row) for row in entry.amounts if row.kind == "old"],
        kind="of new groups" if any(row.groups < row.images for row in entry.amounts) else "",
        seconds_per_image=entry.seconds_per_image if seconds_per_image is None else seconds_per_image,
        usd_per_hour=usd_per_hour,
    )


def reaches(gain: Gain, margin: float) -> WorthWord:
    """Return whether a gain reaches a margin, by its interval.

    >>> [reaches(Gain(0.02, low, high, 0.8), 0.01) for low, high in ((0.01, 0.03), (0.0, 0.03), (0.0, 0.009))]
    ['MORE', 'UNSURE', 'ENOUGH']
    """
    return "MORE" if gain.low >= margin else "ENOUGH" if gain.high < margin else "UNSURE"


def _amount(row: AmountRow) -> Amount:
    assert row.value is not None and row.standard_error is not None
    return Amount(row.arm, row.images, row.value, row.standard_error, row.seeds, row.groups, row.seconds)


def _measured_share(context: Context, arm: Arm, share: Share, spec: WorthSpec) -> _MeasuredShare:
    """Plan the training and the evaluation of a share with every seed."""
    trained: list[TrainStep] = []
    evaluated: list[EvaluateStep] = []
    named = arm if share.kind == "all" else arm_on_part(arm, share.part)
    gate = Gate("worth", spec.on, metric=spec.metric, arm=named.name)
    settings = all_settings(context.study, gate, arm)[0]
    for seed in context.study.seeds:
        inside, like = context, train_steps(context, arm, seed)[0]
        if named is not arm:
            datasets = share.datasets(context, arm.stages[0].data)
            inside = part_context(context, datasets, named, seed, like)
        trained += train_steps(inside, named, seed)
        evaluated.append(EvaluateStep(inside, named, seed, gate, settings))
    return _MeasuredShare(share, named, tuple(trained), tuple(evaluated))

"""Catalogue of the doctor's findings: what each id means, why it matters and what to do (`liftgate explain`)."""

from __future__ import annotations

from textwrap import fill
from typing import NamedTuple

from liftgate.checks.finding import Severity
from liftgate.checks.run import explain as explain_rule


class Kind(NamedTuple):
    """One kind of finding."""

    id: str
    severity: Severity
    summary: str
    why: str
    fix: str


KINDS: tuple[Kind, ...] = (
    Kind(
        "trace.nan",
        "error",
        "A loss that is NaN or infinite.",
        "NaN or infinity in a training loss, or in a validation figure until the end, or a log with "
        "a reload: the weights of those epochs are worth nothing, and a reloaded checkpoint makes it another "
        "run than the one requested. A validation loss that is NaN for an epoch or two passes by itself and is "
        "not reported.",
        "one epoch with `amp=False`, and `liftgate check` for labels outside their images; then a lower rate.",
    ),
    Kind(
        "trace.diverged",
        "error",
        "A training loss that rose by half and stayed, and a metric that fell with it.",
        "The run lost what it had learned. In the first epochs of a run from scratch the loss may rise "
        "tenfold while nothing is found yet: that is sound, and is not reported.",
        "a tenth of the learning rate; best.pt holds the weights from before.",
    ),
    Kind(
        "trace.never_learned",
        "error",
        "A head that finds nothing long after its warm-up, or is at exactly 0 beside one that works.",
        "Mostly the labels: in one project every box had x and y exchanged, and no hyper-parameter mends "
        "that. In runs that were spoilt on purpose an extreme learning rate gave the same curve, so that is "
        "named first where it ran.",
        "run the geometry probe of `liftgate check` before touching the learning rate.",
    ),
    Kind(
        "recipe.augmentation_off",
        "warning",
        "A run of LibreYOLO that was trained without mosaic and mixup from its first epoch on.",
        "It switches them off for the last no_aug_epochs epochs, 15 unless told otherwise; a shorter run has "
        "nothing but last epochs. A trial of ten epochs then says nothing about a training of a hundred.",
        "set no_aug_epochs to about a tenth of the epochs (`--no-aug-epochs` of `libreyolo train`).",
    ),
    Kind(
        "trace.forgetting",
        "warning",
        "What the start weights could do was lost at the start of the stage, for a dozen epochs or for good.",
        "A fine-tuning stage fell from 0.7536 to 0.6278 in two epochs and took 38 to come back. A dip of a "
        "few epochs is usual and not reported.",
        "a tenth of the rate that was used (see the lr columns); `remember` measures old data before and after.",
    ),
    Kind(
        "trace.lr_ignored",
        "warning",
        "A requested learning rate or momentum that was not used.",
        "`optimizer=auto`, the default, chooses both itself and says so in one line of the log; a resumed run "
        "keeps its first arguments.",
        "name the optimizer: `optimizer: SGD`.",
    ),
    Kind(
        "trace.patience_short",
        "info",
        "A patience of under 50 epochs that ended a run early in its plan, at a high learning rate.",
        "At a high rate metrics swing by more than they gain in so few epochs. Public runs with a patience of 5 "
        "stopped at four fifths of their peak rate. Where a rise is certain or likely, that is "
        "reported instead.",
        "`patience: 50`.",
    ),
    Kind(
        "trace.lr_exhausted",
        "warning",
        "A learning rate that was spent long before the end.",
        "Epochs at under 2% of the peak rate change next to nothing, and resuming adds nothing.",
        "a new run with more epochs, or a larger `lrf`.",
    ),
    Kind(
        "trace.stopped_rising",
        "warning",
        "A run that ended while its metric was still going up, clearly against its noise.",
        "The commonest fault of public runs: 22 of 89. `patience` counts from the best epoch, which may lie "
        "at the start. The best epoch lies in the last tenth of nearly every sound run, so the slope must be "
        "certain and worth having.",
        "more epochs or patience; where the validation loss is far above the training loss, more images.",
    ),
    Kind(
        "trace.warmup_short",
        "warning",
        "The full learning rate from the first epoch on, and a training loss that jumped and stayed high, or was NaN.",
        "The first steps of a fresh optimizer are the largest. A jump that comes back in a few epochs is "
        "harmless, and of an extreme rate that no warm-up would make bearable the rate itself is reported.",
        "`warmup_epochs: 3`.",
    ),
    Kind(
        "trace.overfit",
        "warning",
        "A metric that fell from its best while the validation loss rose and the training loss went on falling.",
        "best.pt is not hurt by it, the epochs were wasted. A rising validation loss alone is nothing: it may "
        "rise by half at an mAP of .99.",
        "fewer epochs or less patience; more different images.",
    ),
    Kind(
        "trace.oscillation",
        "warning",
        "Metric and validation loss that swing together from epoch to epoch at full learning rate.",
        "The best epoch is then a lucky one. Swings of the metric alone, on few objects, are noise and not reported.",
        "a tenth of the learning rate, or a larger batch.",
    ),
    Kind(
        "trace.plateau",
        "info",
        "Neither metric nor training loss moved for most of a long run at a high rate.",
        "More epochs will not help. A metric above .8 is saturation and not reported. A metric that stays while the "
        "training loss falls is how every sound run ends; only with an mAP50 under .25 is it reported.",
        "look at where boxes fall on pixels and at 50 labels by hand; one run with a larger imgsz shows the rest.",
    ),
    Kind(
        "trace.batch_halved",
        "warning",
        "Memory ran out and Ultralytics went on with half the batch.",
        "It is not the requested experiment any more; a comparison with it is confounded.",
        "set a batch that fits.",
    ),
    Kind(
        "trace.duplicate_epoch",
        "warning",
        "An epoch that is in the curve twice, or several runs in one file.",
        "A kill between the row and the checkpoint, then a resume: the epoch was trained twice. Or runs "
        "that were given one folder: then only the last is judged.",
        "`liftgate run` goes on from a state of its own and repeats none.",
    ),
    Kind(
        "trace.missing_epoch",
        "warning",
        "An epoch that the curve skips, or lines with other columns.",
        "Rows were lost in a crash or by hand; slopes across the gap are off.",
        "the log may still have the figures.",
    ),
    Kind(
        "trace.no_step",
        "warning",
        "Validation figures that are equal to the last digit for several epochs.",
        "No optimizer step was taken: fewer batches in an epoch than gradients accumulate over, everything "
        "frozen, or a rate of 0. Where the training loss fell meanwhile, the validated average was not updated.",
        "`nbs` down to the batch size.",
    ),
    Kind(
        "trace.val_is_train",
        "error",
        "A data.yaml that names one place for train and val.",
        "Every figure of the run is about images that it was trained on. 4 of 26 public data.yaml files were so.",
        "`liftgate data split` makes a split by group.",
    ),
    Kind(
        "trace.class_never_found",
        "warning",
        "A class of which no object is found, by the run's own predictions.",
        "The mean over classes hides it: in one project a class with 115 boxes was found 0 times by every "
        "model. It is reported from ten objects on, with a bound on the recall.",
        "`liftgate data stats` for its labels in train; ten of them by hand.",
    ),
    Kind(
        "trace.repeat",
        "warning",
        "Runs that agree in every figure but the time.",
        "They are one run repeated, not replicates: an interval over them would be far too narrow.",
        "different seeds.",
    ),
    Kind(
        "trace.too_short",
        "info",
        "Too few epochs to judge the curve, or nothing found so far.",
        "What an epoch shows lies within noise and warm-up; with few images the warm-up takes most of the run.",
        "nothing, or a longer run.",
    ),
)


def page(kind: Kind) -> str:
    """Return a kind's page as Markdown."""
    head = f"# {kind.id}\n\n{kind.summary}\n\nSeverity: {kind.severity}\n"
    return f"{head}\n{fill(kind.why, 110)}\n\n## What to do\n\n{fill(kind.fix, 110)}\n"


def explain(id_: str) -> str:
    """Return the page of a finding, `check`'s or the doctor's: what it is, why it matters, what to do.

    >>> explain("labels.zero_area").splitlines()[0]
    '# labels.zero_area'

    Raises:
        UsageError: no finding has this id; the hint names the most similar one.
    """
    kind = next((kind for kind in KINDS if kind.id == id_), None)
    return explain_rule(id_) if kind is None else page(kind)

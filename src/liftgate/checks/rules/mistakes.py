"""Rules about single labels that a model's predictions contradict; without predictions they find nothing."""

from __future__ import annotations

from collections.abc import Iterator

from liftgate.checks.finding import Finding
from liftgate.checks.messages import MAX_EXAMPLES, first_few, label_file, label_location, plural
from liftgate.checks.probes.label_mistakes import FLAGGED, LabelMistake, MistakeKind, reach_of
from liftgate.checks.rule import Rule, rule
from liftgate.checks.subject import Subject
from liftgate.data.core.dataset import Dataset
from liftgate.data.core.predictions import Predictions


@rule("mistakes.missing", "warning")
def missing(subject: Subject) -> Iterator[Finding]:
    """Objects that seem to have no label.

    A model is sure of an object where there is no label of any class (`check --predictions`). Unlabelled objects teach
    a model to overlook its objects, and count every right detection of them as false in the evaluation.

    Fix: look at the ranked places (`--review DIR` writes a page for it), and label what is there. A model finds the
    mistakes of labels that it was not trained on: give predictions of a model trained on other images, such as the step
    `mistakes` of a study's flow makes.
    """
    yield from _findings(subject, missing, "missing", "{} without a label, as far as the model tells")


@rule("mistakes.spurious", "info")
def spurious(subject: Subject) -> Iterator[Finding]:
    """Labels where a model sees nothing of any class.

    The model finds nearly all labels of the class, but nothing at these (`check --predictions`). It may also be
    weak there: small, hidden or unusual objects look the same to it. The better the model, the more its silence says.

    Fix: look at the ranked places (`--review DIR` writes a page for it), and delete labels without an object.
    """
    yield from _findings(subject, spurious, "spurious", "{} at which the model sees nothing")


@rule("mistakes.class", "warning")
def wrong_class(subject: Subject) -> Iterator[Finding]:
    """Labels whose class a model contradicts.

    At the label's place the model is sure of another class, and not of the label's (`check --predictions`). Confused
    classes lower the average precision of both, and the model cannot learn what the labels do not keep apart.

    Fix: look at the ranked places (`--review DIR` writes a page for it); if one pair of classes is at it again and
    again, write down how they differ before anybody labels on.
    """
    yield from _findings(subject, wrong_class, "class", "{} with a class that the model contradicts")


@rule("mistakes.box", "info")
def wrong_box(subject: Subject) -> Iterator[Finding]:
    """Labels whose box a model places elsewhere.

    The model is sure of the class, with a box that overlaps the label's by less than 0.6 (`check --predictions`). Such
    labels count right detections as false at IoU 0.5 and more, and teach boxes that are off.

    Fix: look at the ranked places (`--review DIR` writes a page for it), and draw the box anew. Many that are off in
    one direction are no slips: see labels.geometry.
    """
    yield from _findings(subject, wrong_box, "box", "{} that the model places elsewhere")


@rule("mistakes.overlooked", "warning")
def overlooked(subject: Subject) -> Iterator[Finding]:
    """A model that finds less than half of the labels, which says little about them.

    What a model overlooks it does not judge (`check --predictions`): that few labels are suspected, or none, then
    does not mean that they are right. Where it finds most of them in another class, its classes and those of the labels
    are counted in another order, or have other names.

    Fix: give predictions of a model that finds these objects, down to a confidence of 0.01 and of all images; or the
    class order of the labels.
    """
    for name, predictions in subject.predictions.items():
        reach = reach_of(subject.datasets[name], predictions)
        if 2 * reach.found >= reach.labels:
            continue
        other = f", and {reach.in_another_class:,} more in another class" if reach.in_another_class else ""
        yield overlooked.finding(
            str(subject.datasets[name].source),
            f"the model finds {reach.found:,} of {reach.labels:,} labels (IoU 0.5, confidence 0.25){other}: what it "
            "overlooks it does not judge, so few suspected mistakes do not mean right labels",
            dataset=name, labels=reach.labels, found=reach.found, in_another_class=reach.in_another_class,
        )  # fmt: skip


def _findings(subject: Subject, of: Rule, kind: MistakeKind, message: str) -> Iterator[Finding]:
    """Yield one finding for each data set with mistakes of one kind, the most suspicious places first."""
    for name, dataset in subject.datasets.items():
        found = [one for one in subject.mistakes(name) if one.kind == kind and one.suspicion >= FLAGGED]
        if not found:
            continue
        places = [f"{_place(dataset, one)} ({one.suspicion:.2f})" for one in found]
        what = plural(len(found), "object") if kind == "missing" else plural(len(found), "label")
        rows = [_row(dataset, subject.predictions[name], one) for one in found[:MAX_EXAMPLES]]
        yield of.finding(
            _place(dataset, found[0]), f"{message.format(what)}: {first_few(places)}", dataset=name, count=len(found),
            examples=places[:MAX_EXAMPLES], rows=rows,
        )  # fmt: skip


def _place(dataset: Dataset, one: LabelMistake) -> str:
    return label_file(dataset, dataset.images[one.image]) if one.label < 0 else label_location(dataset, one.label)


def _row(dataset: Dataset, predictions: Predictions, one: LabelMistake) -> dict[str, object]:
    boxes = dataset.labels.boxes[one.label] if one.label >= 0 else predictions.boxes[one.detection]
    seen = None if one.detection < 0 else predictions.classes[predictions.cls[one.detection]]
    return {
        "image": dataset.images[one.image].id,
        "box": [round(float(value), 2) for value in boxes],
        "label": None if one.label < 0 else dataset.classes[dataset.labels.cls[one.label]],
        "model": seen,
        "suspicion": round(one.suspicion, 4),
    }

"""Rules about the learnability probe (`probe` in a study's flow). Without a probe they find nothing."""

from __future__ import annotations

from collections.abc import Iterator

from liftgate.checks.finding import Finding
from liftgate.checks.messages import first_few
from liftgate.checks.probes.learnability import (
    LEARNED_AP50,
    MIN_IMAGES,
    NO_GENERALISATION_AP50,
    UNLEARNED_AP50,
    LearnabilityResult,
    indistinguishable_classes,
    unlearned_classes,
)
from liftgate.checks.rule import rule
from liftgate.checks.subject import Subject


@rule("probe.not_learned", "error", "warning")
def not_learned(subject: Subject) -> Iterator[Finding]:
    """A model that cannot memorise a few of the images.

    A detector that is shown the same two dozen images for some minutes, without augmentation, ends with AP50 near 1 on
    them: it does not have to generalise. Where it does not, the boxes do not lie on the objects, classes change from
    image to image, or the start weights do not fit, and days of training on all images will not help: in the
    luggage X-ray project a converter had in all likelihood transposed every box, and three phases of training looked
    for the fault in the recipe. An error when the score stayed low and more epochs would have changed nothing; a
    warning when it was still learning, when its time ended first, or when it learned in part.

    Fix: look at `liftgate check` first (`labels.geometry`, `classes.mismatch`), then at the run's pictures in its
    folder `…_probe-…`; if all are right, the model or the image size is too small for these objects.
    """
    for probe in subject.probes:
        if probe.ap50 >= LEARNED_AP50:
            continue
        state = "its time ended first" if probe.cut_short else "it was still learning"
        ended = "more epochs would not have helped" if probe.settled else state
        message = f"{_setting(probe)}: AP50 {probe.ap50:.2f} of the {LEARNED_AP50} that count as learned; {ended}"
        error = probe.settled and probe.ap50 < UNLEARNED_AP50
        yield not_learned.finding(probe.where, message, severity="error" if error else "warning", **probe.to_dict())


@rule("probe.by_heart_only", "warning")
def by_heart_only(subject: Subject) -> Iterator[Finding]:
    """A model that memorised a few images and finds nothing in other images of the same kind.

    Networks also memorise unrelated labels: a tiny YOLO learned two dozen images whose boxes had been exchanged with
    those of other images, to AP50 0.96. On held-out images it found nothing, while with the right boxes it found nearly
    all objects. So this finds boxes that do not lie on the objects. Data that are merely hard, or with
    many classes, may look the same after two dozen images: this is a warning, never an error.

    Fix: look at `labels.geometry` of `liftgate check` and at twenty images with their boxes drawn. If they are right,
    the data are hard: go on.
    """
    for probe in subject.probes:
        others = probe.others_ap50
        if (
            probe.ap50 < LEARNED_AP50
            or others is None
            or others > NO_GENERALISATION_AP50
            or probe.n_others < MIN_IMAGES
        ):
            continue
        message = f"{_setting(probe)}: AP50 {probe.ap50:.2f} on them, {others:.2f} on {probe.n_others} others"
        yield by_heart_only.finding(probe.where, message, **probe.to_dict())


@rule("probe.class_never_learned", "warning")
def class_never_learned(subject: Subject) -> Iterator[Finding]:
    """A class that a model does not learn on its training images, while it learns others.

    Its objects are labelled in some images and not in others, carry another class's number, or cannot be distinguished
    from another class by their appearance. Classes whose objects are mostly smaller than a cell of the detector at the
    probe's image size are not judged.

    Fix: look at that class's boxes, and compare the class list with the labelling tool's.
    """
    for probe in subject.probes:
        classes = unlearned_classes(probe)
        if not classes or probe.ap50 < UNLEARNED_AP50:  # where nothing was learned, no class is to blame
            continue
        each = [f"{name} (AP50 {probe.per_class[name]:.2f}, {probe.objects[name]} objects)" for name in classes]
        message = f"{_setting(probe)}, it never learned {first_few(each)}"
        data = {**probe.to_dict(), "classes": list(classes)}
        yield class_never_learned.finding(probe.where, message, **data)


@rule("probe.classes_by_chance", "warning")
def classes_by_chance(subject: Subject) -> Iterator[Finding]:
    """Classes whose objects a model detects but confuses on held-out images.

    A network also memorises which class number belongs to which box: on blood cells with random classes,
    AP50 was 0.92 on the training images. On held-out images it found the cells and classified them at random. So this
    finds class numbers that were mixed up in an export, or on which annotators did not agree. Two dozen images are
    few for classes that differ in details: this is a warning, never an error.

    Fix: look at twenty objects of each of the named classes; compare the class list with the labelling tool's. If
    they differ only in details, go on.
    """
    for probe in subject.probes:
        pairs = indistinguishable_classes(probe)
        if probe.ap50 < LEARNED_AP50 or not pairs:
            continue
        confused = first_few(f"{a} / {b}" for a, b in pairs)
        message = (
            f"{_setting(probe)}, it memorised them (AP50 {probe.ap50:.2f}); on {probe.n_others} others it finds "
            f"objects and does not distinguish {confused}"
        )
        data = {**probe.to_dict(), "pairs": [list(pair) for pair in pairs]}
        yield classes_by_chance.finding(probe.where, message, **data)


def _setting(probe: LearnabilityResult) -> str:
    return f"shown {probe.n_images} images at imgsz {probe.imgsz} for {probe.epochs} epochs"

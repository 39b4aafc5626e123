"""Rules about recipes: arguments that Ultralytics ignores or refuses, or that have an unexpected effect."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator

from liftgate.checks.arm_differences import arm_differences, is_auto, undeclared
from liftgate.checks.finding import Finding
from liftgate.checks.messages import first_few, plural
from liftgate.checks.rule import rule
from liftgate.checks.subject import StageInArm, Subject
from liftgate.checks.ultralytics.arguments import (
    ARGUMENTS,
    DEFAULT_BATCH,
    DEFAULT_CLOSE_MOSAIC,
    DEFAULT_EPOCHS,
    DEFAULT_FLIPLR,
    DEFAULT_IMGSZ,
    DEFAULT_WARMUP,
    REMOVED,
    auto_choice,
    nearest_argument,
    numeric_argument,
    optimizer_steps,
    refusal,
)

_ADAM = frozenset({"adam", "adamax", "adamw", "nadam", "radam", "rmsprop"})
_HIGH_ADAM = 0.005  # Ultralytics' default lr0 of 0.01 is meant for SGD
_SCRATCH_SGD = 0.01
_FEW_STEPS = 100
_DIRECTION = re.compile(r"(?<![a-z])(left|right|links|rechts|gauche|droite|port|starboard)(?![a-z])", re.IGNORECASE)


@rule("recipe.lr_ignored", "error", "warning")
def lr_ignored(subject: Subject) -> Iterator[Finding]:
    """A learning rate or momentum that `optimizer=auto` ignores.

    `optimizer` is `auto` by default, and auto ignores `lr0` and `momentum`: it counts optimiser steps
    and takes MuSGD (earlier: SGD) at 0.01 above 10,000 of them, else AdamW at 0.002 · 5 / (4 + classes). The log
    has one line about it. In the Formula Student project the fine-tuning stage set 0.001 and ran at 0.01:
    validation fell from 0.7536 to 0.6278 in two epochs and took 38 epochs to come back. Of 89 public training runs,
    2 set a rate and got another.

    Fix: name the optimiser (`optimizer: SGD`, `lr0: 0.001`), or leave lr0 and momentum out.
    """
    for place in _trained(subject):
        recipe = place.stage.recipe
        ignored = {name: recipe[name] for name in ("lr0", "momentum", "warmup_bias_lr") if recipe.get(name) is not None}
        if not is_auto(recipe) or not ignored:
            continue
        images, dataset = subject.training_images(place.stage), subject.datasets.get(place.stage.data)
        requested = ", ".join(f"{name}={value}" for name, value in ignored.items())
        if not images or dataset is None:
            yield lr_ignored.finding(place.where, f"optimizer=auto ignores {requested}", asked=ignored)
            continue
        choice = auto_choice(_fraction(images, recipe.get("fraction")), len(dataset.classes), recipe)
        same = "lr0" not in ignored or _close(ignored["lr0"], choice.lr0)
        message = (
            f"optimizer=auto ignores {requested}: {choice.optimizer} with lr0 {choice.lr0:g} and momentum "
            f"{choice.momentum:g} will be used instead ({images:,} images make {choice.iterations:,} iterations)"
        )
        used = {"optimizer": choice.optimizer, "lr0": choice.lr0, "momentum": choice.momentum}
        hint = f"set `optimizer: SGD` to use {requested}, or leave {' and '.join(ignored)} out and let auto choose"
        yield lr_ignored.finding(
            place.where,
            message,
            hint=hint,
            severity="warning" if same else "error",
            asked=ignored,
            used=used,
            iterations=choice.iterations,
        )


@rule("recipe.lr_high", "warning")
def lr_high(subject: Subject) -> Iterator[Finding]:
    """A learning rate that makes the start weights forget what they learned.

    A stage that continues from trained weights with the rate of a training from scratch forgets first and learns
    again later, if the epochs last. And Ultralytics' default lr0 of 0.01 is SGD's: `optimizer: AdamW` alone runs
    Adam ten times too fast.

    Fix: for a later stage take a tenth of the first stage's rate; for Adam and its variants 0.0005 to 0.002.
    """
    for place in _trained(subject):
        recipe = place.stage.recipe
        optimizer = str(recipe.get("optimizer", "auto")).lower()
        if optimizer in _ADAM:
            rate = numeric_argument(recipe, "lr0", 0.01)
            if rate >= _HIGH_ADAM:
                shown = (
                    f"lr0 {rate:g}" if "lr0" in recipe else f"lr0 left at its default {rate:g}, which is meant for SGD"
                )
                yield lr_high.finding(place.where, f"{recipe['optimizer']} with {shown}", lr0=rate)
        elif place.number > 0 or (place.stage.weights or "").endswith(("best.pt", "last.pt")):
            going_on = _rate(subject, place)
            if going_on is not None and going_on >= _SCRATCH_SGD:
                chosen = " (optimizer=auto chooses it)" if is_auto(recipe) else ""
                message = (
                    f"lr0 {going_on:g}{chosen} on weights that are already trained: the rate of a training from scratch"
                )
                yield lr_high.finding(place.where, message, lr0=going_on)


@rule("recipe.unknown", "error")
def unknown(subject: Subject) -> Iterator[Finding]:
    """An argument that Ultralytics does not have.

    It refuses to start, after the machine was rented and the data were copied. Arguments of earlier versions it drops
    with a line in the log, and the run is not the one that was specified: Liftgate refuses them too.

    Fix: take the name in the hint; `lr0`, `epochs`, `imgsz` and the others are listed in Ultralytics'
    configuration page.
    """
    for place in _trained(subject):
        for name in place.stage.recipe:
            if name in REMOVED:
                message = f"{name} was removed from Ultralytics, which would drop it"
                yield unknown.finding(place.at("recipe", name), message, hint="take it out", argument=name)
            elif name not in ARGUMENTS:
                close = nearest_argument(name)
                hint = f"did you mean {close}?" if close else None
                yield unknown.finding(
                    place.at("recipe", name), f"there is no argument {name}", hint=hint, argument=name
                )


@rule("recipe.value", "error")
def value(subject: Subject) -> Iterator[Finding]:
    """A value that Ultralytics refuses: of the wrong kind, or out of range.

    `lr0: 1e-3` is text to YAML 1.1 (it wants `1.0e-3`), and Ultralytics stops on it, as on a fraction above 1.

    Fix: write the value as the message expects it.
    """
    for place in _trained(subject):
        for name, given in place.stage.recipe.items():
            wrong = refusal(name, given) if name in ARGUMENTS else None
            if wrong:
                hint = None
                if isinstance(given, str) and re.fullmatch(r"[+-]?\d+(\.\d*)?[eE][+-]?\d+", given):
                    hint = f"YAML reads {given} as text: write {float(given):g}, or {given.replace('e', '.0e', 1)}"
                yield value.finding(place.at("recipe", name), f"{name}: {wrong}", hint=hint, argument=name, value=given)


@rule("recipe.confounded", "warning")
def confounded(subject: Subject) -> Iterator[Finding]:
    """Arms of a comparison that differ in more than the declared thing.

    The verdict is then about all differences together. Implicit differences count too: with
    more images, `optimizer=auto` passes 10,000 iterations and takes another optimiser. In the kill-switch project a
    gate passed because both arms had a bug fixed; what the synthetic data did was minus 2.3 points.

    Fix: make the arms equal but for one thing, or declare in the gate what differs (`differ: [data]`), and read
    the verdict as one about all of it.
    """
    study = subject.study
    for gate in study.gates if study else ():
        arms = {arm.name: arm for arm in study.arms} if study else {}
        control, treatment = arms.get(gate.control or ""), arms.get(gate.treatment or "")
        if control is None or treatment is None:
            continue
        differences = arm_differences(subject, control, treatment)
        extra = undeclared(gate, differences)
        if extra:
            declared = f"the gate declares {', '.join(gate.differ)}" if gate.differ else "the gate declares nothing"
            message = (
                f"{control.name} and {treatment.name} differ in {plural(len(differences), 'thing')}; {declared}; "
                f"undeclared: {'; '.join(str(one) for one in extra)}"
            )
            listing = [one._asdict() for one in differences]
            yield confounded.finding(
                f"gate {gate.name}", message, differences=listing, undeclared=[one.what for one in extra]
            )


@rule("recipe.warmup", "warning", "info")
def warmup(subject: Subject) -> Iterator[Finding]:
    """A warm-up that takes more than half of the run, or hardly happens.

    During warm-up the rate rises from near zero: a run that is mostly warm-up has hardly been trained. The default
    is 3 epochs, which is long for a run of 5. A warm-up of less than an epoch is a matter of few steps: the full rate
    then meets an optimiser that has seen next to nothing, which makes start weights forget.

    Fix: set `warmup_epochs` to a tenth of the epochs, or train longer.
    """
    for place in _trained(subject):
        epochs = numeric_argument(place.stage.recipe, "epochs", DEFAULT_EPOCHS)
        length = numeric_argument(place.stage.recipe, "warmup_epochs", DEFAULT_WARMUP)
        if epochs > 1 and length > epochs / 2:
            note = "" if "warmup_epochs" in place.stage.recipe else " (the default)"
            yield warmup.finding(
                place.where, f"{length:g} of {epochs:g} epochs are warm-up{note}", warmup_epochs=length, epochs=epochs
            )
        elif epochs > 1 and length < 1:
            images = subject.training_images(place.stage)
            batch = max(numeric_argument(place.stage.recipe, "batch", DEFAULT_BATCH), 1)
            batches = math.ceil(_fraction(images, place.stage.recipe.get("fraction")) / batch) if images else None
            counted = f": {round(length * batches)} batches" if batches and length else ""
            what = f"warm-up is {length:g} of an epoch{counted}" if length else "there is no warm-up"
            yield warmup.finding(place.where, what, severity="info", warmup_epochs=length, epochs=epochs)


@rule("recipe.few_steps", "info")
def few_steps(subject: Subject) -> Iterator[Finding]:
    """A run with very few optimiser steps.

    Gradients are collected until 64 images (`nbs`) are seen, whatever the batch: on a small set with few epochs
    only tens of steps remain, and the model looks as if it could not learn. A public one-batch set looked dead for
    46 epochs and ended at .97.

    Fix: more epochs, or `nbs` equal to `batch`.
    """
    for place in _trained(subject):
        recipe, images = place.stage.recipe, subject.training_images(place.stage)
        batch = numeric_argument(recipe, "batch", DEFAULT_BATCH)
        if not images or batch < 1:
            continue
        images = _fraction(images, recipe.get("fraction"))
        epochs = numeric_argument(recipe, "epochs", DEFAULT_EPOCHS)
        steps = optimizer_steps(images, recipe)
        if steps < _FEW_STEPS:
            message = f"{steps} optimiser steps in all ({images} images, batch {batch:g}, {epochs:g} epochs)"
            yield few_steps.finding(place.where, message, steps=steps)


@rule("recipe.patience", "info", "warning")
def patience(subject: Subject) -> Iterator[Finding]:
    """A patience that can never end the run, or that ends it early.

    Patience longer than the run does nothing. Under 10 epochs it stops runs that are still climbing: of 89 public
    runs 22 were stopped while clearly rising, one at 80% of its peak learning rate.

    Fix: patience of a fifth to a third of the epochs.
    """
    for place in _trained(subject):
        recipe = place.stage.recipe
        if recipe.get("patience") is None:
            continue
        epochs, wait = numeric_argument(recipe, "epochs", DEFAULT_EPOCHS), numeric_argument(recipe, "patience", 0)
        if wait >= epochs and wait > 0:
            yield patience.finding(place.where, f"patience {wait:g} in a run of {epochs:g} epochs never ends it")
        elif 0 < wait < 10 < epochs / 2:
            message = f"patience {wait:g} ends a run of {epochs:g} epochs on the first plateau"
            yield patience.finding(place.where, message, severity="warning")


@rule("recipe.close_mosaic", "info", "warning")
def close_mosaic(subject: Subject) -> Iterator[Finding]:
    """Mosaic that is requested and never used.

    Mosaic is turned off for the last 10 epochs. A run of 10 or fewer has it off from the start (8.4; some earlier
    versions, which wait for that very epoch, never turn it off): a short trial and the long run after it are
    different recipes.

    Fix: set `close_mosaic` to a tenth of the epochs, or `mosaic: 0` and know it.
    """
    for place in _trained(subject):
        recipe = place.stage.recipe
        epochs = numeric_argument(recipe, "epochs", DEFAULT_EPOCHS)
        last = numeric_argument(recipe, "close_mosaic", DEFAULT_CLOSE_MOSAIC)
        if last >= epochs and numeric_argument(recipe, "mosaic", 1.0) > 0:
            explicit = "mosaic" in recipe or "close_mosaic" in recipe
            message = f"close_mosaic {last:g} covers the whole run of {epochs:g} epochs: mosaic is never used"
            yield close_mosaic.finding(place.where, message, severity="warning" if explicit else "info")


@rule("recipe.fraction", "warning")
def fraction(subject: Subject) -> Iterator[Finding]:
    """A fraction of the training images that is not a random sample of them.

    `fraction: 0.1` takes the first tenth in the order of the file names: the first video, the first day, the first
    class. Liftgate's own `take` draws by a seed, the same images for every arm.

    Fix: `data: [{dataset: NAME, take: N}]` instead of `fraction`.
    """
    for place in _trained(subject):
        share = place.stage.recipe.get("fraction")
        images = subject.training_images(place.stage)
        if isinstance(share, float) and 0 < share < 1:
            first = f"the first {_fraction(images, share):,} of {images:,} images" if images else "the first images"
            message = f"fraction {share:g} trains on {first} in the order of their names"
            yield fraction.finding(place.where, message, fraction=share)


@rule("recipe.classes", "warning")
def classes(subject: Subject) -> Iterator[Finding]:
    """Classes removed by the recipe, whose images stay as backgrounds.

    `classes: [0]` drops the labels of all others and keeps the images, also those on which nothing is left;
    `single_cls` makes every object one class. The data set of the evaluation still has all of them.

    Fix: `keep: [NAME]` beside the data set in the study: training and measuring then mean the same classes.
    """
    for place in _trained(subject):
        for name in ("classes", "single_cls"):
            given = place.stage.recipe.get(name)
            dataset = subject.datasets.get(place.stage.data)
            if given is None or given is False or dataset is None or len(dataset.classes) < 2:
                continue
            message = f"{name}: {given} trains on other classes than the {len(dataset.classes)} that are measured"
            yield classes.finding(place.where, message, argument=name)


@rule("recipe.fliplr", "warning")
def fliplr(subject: Subject) -> Iterator[Finding]:
    """Horizontal flips of classes that have left and right variants.

    `fliplr` is 0.5 unless set. A mirrored `turn_left` sign is a `turn_right` sign with the wrong label: half of the
    training contradicts the other half.

    Fix: `fliplr: 0.0`.
    """
    for place in _trained(subject):
        dataset = subject.datasets.get(place.stage.data)
        share = numeric_argument(place.stage.recipe, "fliplr", DEFAULT_FLIPLR)
        handed = [name for name in dataset.classes if _DIRECTION.search(name.replace("_", " "))] if dataset else []
        if len(handed) > 1 and share > 0:
            message = f"fliplr {share:g} mirrors images of classes that have a side: {first_few(handed)}"
            yield fliplr.finding(place.where, message, classes=handed)


@rule("recipe.imgsz", "warning")
def imgsz(subject: Subject) -> Iterator[Finding]:
    """Trained at one image size and measured at another.

    Objects then have another size for the network than those it learnt; at 416 instead of 640 the small ones go
    first.

    Fix: set `evaluation: {imgsz: …}` to the size of the recipes, or compare sizes in a study of their own.
    """
    measured = subject.study.evaluation.get("imgsz") if subject.study else None
    for arm in subject.study.arms if subject.study and isinstance(measured, int) else ():
        if arm.stages:
            trained = arm.stages[-1].recipe.get("imgsz", DEFAULT_IMGSZ)
            if trained != measured:
                message = f"arm {arm.name} is trained at imgsz {trained} and measured at {measured}"
                yield imgsz.finding(f"arm {arm.name}", message, trained=trained, measured=measured)


def _trained(subject: Subject) -> Iterator[StageInArm]:
    """Yield the stages that Ultralytics trains."""
    yield from (place for place in subject.stages if place.backend == "ultralytics")


def _rate(subject: Subject, place: StageInArm) -> float | None:
    """Return the learning rate that a stage will use; None where it is unknown."""
    recipe = place.stage.recipe
    if not is_auto(recipe):
        return numeric_argument(recipe, "lr0", 0.01)
    images, dataset = subject.training_images(place.stage), subject.datasets.get(place.stage.data)
    if not images or dataset is None:
        return None
    return auto_choice(images, len(dataset.classes), recipe).lr0


def _fraction(images: int, fraction: object) -> int:
    return math.ceil(images * fraction) if isinstance(fraction, float) and 0 < fraction < 1 else images


def _close(given: object, used: float) -> bool:
    return isinstance(given, int | float) and math.isclose(float(given), used, rel_tol=0.01)

"""Automatic batch: `batch: auto` is chosen once for a study, on the real device, and is the same for all its arms.

With Ultralytics' own choice (`batch=-1`) each run would depend on the memory that happens to be free, and arms would
differ by accident. Here each model is tried for one epoch on a few images, and the smallest of the batches that fit is
recorded in the ledger and used for all arms. Models that are added later are tried before they train with it.
"""

from __future__ import annotations

import time

from liftgate.errors import UsageError
from liftgate.ledger.records import NoteEntry
from liftgate.pipeline.context import Context
from liftgate.pipeline.notice import Notice
from liftgate.pipeline.steps.recipe import is_auto_batch, settled_batch
from liftgate.pipeline.steps.smoke import first_weights, smoke
from liftgate.study.records import Arm, Stage

_TRIAL_IMAGES = 256
"""Images of the trial epoch: enough for a few steps of a large batch"""


def settle_batch(context: Context) -> None:
    """Try each model with an automatic batch for one epoch, and record the batch that fits all of them.

    Raises:
        UsageError: the trainer does not report its batch, or a model that was added later needs a smaller one than the
            others were trained with.
    """
    started, before, found = time.monotonic(), settled_batch(context.ledger), dict[str, int]()
    for arm, number, stage in open_batches(context):
        model = _memory_key(context, arm, number)
        if model in found:
            continue
        name = f"batch of {arm.name}"
        context.notify(Notice("started", name, {"why": "settled once for all arms", "kind": "measure"}))
        found[model] = _try_batch(context, arm, number, stage)
        if before is not None and found[model] < before:
            hint = f"`batch: {found[model]}` for all arms; those that were trained run again with it"
            where = context.study.place("arms", arm.name, number, "recipe", "batch")
            raise UsageError(
                "batch: auto was settled for all arms, and this one has no room for it",
                where=where, expected=before, got=found[model], hint=hint,
            )  # fmt: skip
    if found:
        batch = min(found.values()) if before is None else before
        text = f"batch: auto is {batch} for all arms"
        context.ledger.add(NoteEntry(text, batch=batch, tried=found))
        context.notify(Notice("done", text, {"seconds": time.monotonic() - started, "kind": "measure"}))


def open_batches(context: Context) -> list[tuple[Arm, int, Stage]]:
    """Return the stages (arm, number from 0, stage) with an automatic batch whose model was not tried yet."""
    tried = {model for note in context.ledger.records(NoteEntry) for model in note.tried or ()}
    stages = [(arm, number, stage) for arm in context.study.arms for number, stage in enumerate(arm.stages)]
    automatic = [(arm, number, stage) for arm, number, stage in stages if is_auto_batch(stage.recipe)]
    return [one for one in automatic if _memory_key(context, *one[:2]) not in tried]


def _try_batch(context: Context, arm: Arm, number: int, stage: Stage) -> int:
    """Return the batch that the trainer chooses for a stage."""
    recipe = {**stage.recipe, "batch": -1 if stage.recipe["batch"] == "auto" else stage.recipe["batch"]}
    if context.study.backend_of(arm) == "ultralytics":
        recipe |= {"fraction": _trial_fraction(context, stage), "plots": False}
    outcome = smoke(context, arm, number, recipe, stop=lambda: bool(context.stop_reason()))
    batch = outcome.facts.get("batch")
    if not isinstance(batch, int):
        raise UsageError(
            "this backend cannot choose a batch", where=context.study.backend_of(arm), hint="write a number instead"
        )
    return batch


def _memory_key(context: Context, arm: Arm, number: int) -> str:
    """Return a text that identifies what the memory of a stage depends on: image size, weights and batch setting."""
    recipe, weights = arm.stages[number].recipe, first_weights(context, arm, number)
    return f"{recipe.get('imgsz', 'default')} px, {weights.identity[:12]}, {recipe['batch']}"


def _trial_fraction(context: Context, stage: Stage) -> float:
    sources = [context.datasets.dataset(name) for name in stage.sources]
    images = sum(image.split == "train" for dataset in sources for image in dataset.images)
    return min(1.0, _TRIAL_IMAGES / max(images, 1))

"""Batch: `batch: auto` is settled once for a study, on the real device, and is then the same for all its arms.

Left to Ultralytics (`batch=-1`) every run would choose by the memory that happens to be free: two arms would differ by
accident. Here each model that asks for it is tried for one epoch on a few images, and the smallest of their choices
goes for all, now and later: it stands in the ledger. A model that comes later is tried too, before it trains with it.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from liftgate.errors import UsageError
from liftgate.ledger import Ledger
from liftgate.pipeline.context import Context, Notice
from liftgate.pipeline.steps.smoke import first_weights, smoke
from liftgate.study.records import Arm, Stage

_IMAGES = 256
"""Images of the epoch that tries a batch: enough for a few steps of a large one"""


def recipe_of(ledger: Ledger, stage: Stage) -> dict[str, Any]:
    """Return a stage's recipe, its batch as it was settled; still `auto`: it was not settled yet."""
    recipe = dict(stage.recipe)
    if is_auto(recipe) and (number := settled(ledger)) is not None:
        recipe["batch"] = number
    return recipe


def is_auto(recipe: Mapping[str, Any]) -> bool:
    """Whether the batch is left to the machine: `auto`, or as Ultralytics says it, -1 or a share of the memory.

    >>> [is_auto({"batch": batch}) for batch in ("auto", -1, 0.7, 16)], is_auto({})
    ([True, True, True, False], False)
    """
    batch = recipe.get("batch")
    return batch == "auto" or (isinstance(batch, int | float) and not isinstance(batch, bool) and batch < 1)


def settled(ledger: Ledger) -> int | None:
    """Return the batch that goes for all arms; None: nobody has asked yet."""
    said = [entry.body["batch"] for entry in ledger.entries("note") if "batch" in entry.body]
    return int(said[-1]) if said else None


def settle(context: Context) -> None:
    """Try every model that asks for it for one epoch and note the batch that fits all of them.

    Raises:
        UsageError: the trainer does not say which batch it took; a model that comes later needs a smaller one than the
            others were trained with.
    """
    begun, before, found = time.monotonic(), settled(context.ledger), dict[str, int]()
    for arm, number, stage in unsettled(context):
        model = _model(context, arm, number)
        if model in found:
            continue
        name = f"batch of {arm.name}"
        context.notify(Notice("started", name, {"why": "settled once for all arms", "kind": "measure"}))
        asked = -1 if stage.recipe["batch"] == "auto" else stage.recipe["batch"]
        recipe = {**stage.recipe, "batch": asked}
        if context.study.backend == "ultralytics":
            recipe |= {"fraction": _fraction(context, stage), "plots": False}
        outcome = smoke(context, arm, number, recipe, stop=lambda: bool(context.stop_reason()))
        if not isinstance(outcome.facts.get("batch"), int):
            hint = "say a number instead"
            raise UsageError("this backend cannot choose a batch", where=context.study.backend, hint=hint)
        found[model] = outcome.facts["batch"]
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
        context.ledger.append("note", {"text": text, "batch": batch, "tried": found})
        context.notify(Notice("done", text, {"seconds": time.monotonic() - begun, "kind": "measure"}))


def unsettled(context: Context) -> list[tuple[Arm, int, Stage]]:
    """Return the stages, numbered from 0, that leave their batch to the machine and whose model was not tried yet."""
    tried = {model for entry in context.ledger.entries("note") for model in entry.body.get("tried", ())}
    stages = [(arm, number, stage) for arm in context.study.arms for number, stage in enumerate(arm.stages)]
    asking = [(arm, number, stage) for arm, number, stage in stages if is_auto(stage.recipe)]
    return [one for one in asking if _model(context, *one[:2]) not in tried]


def _model(context: Context, arm: Arm, number: int) -> str:
    """What decides how much room a stage takes, in a few words."""
    recipe, weights = arm.stages[number].recipe, first_weights(context, arm, number)
    return f"{recipe.get('imgsz', 'default')} px, {weights.identity[:12]}, {recipe['batch']}"


def _fraction(context: Context, stage: Stage) -> float:
    sources = [context.datasets.dataset(name) for name in stage.sources]
    images = sum(image.split == "train" for dataset in sources for image in dataset.images)
    return min(1.0, _IMAGES / max(images, 1))

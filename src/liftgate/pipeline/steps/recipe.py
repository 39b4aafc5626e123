"""Recipe of a stage as it is trained: with the batch that was settled for all arms where the study leaves it open."""

from __future__ import annotations

from liftgate.backends.events import Json
from liftgate.ledger.chain import Ledger
from liftgate.ledger.records import NoteEntry
from liftgate.study.records import Stage


def recipe_of(ledger: Ledger, stage: Stage) -> Json:
    """Return a stage's recipe with the settled batch; `auto` is left where it was not settled yet."""
    recipe = dict(stage.recipe)
    if is_auto_batch(recipe) and (batch := settled_batch(ledger)) is not None:
        recipe["batch"] = batch
    return recipe


def is_auto_batch(recipe: Json) -> bool:
    """Return whether the batch is left to the machine: `auto`, or in Ultralytics' words -1 or a share of the memory.

    >>> [is_auto_batch({"batch": batch}) for batch in ("auto", -1, 0.7, 16)], is_auto_batch({})
    ([True, True, True, False], False)
    """
    batch = recipe.get("batch")
    return batch == "auto" or (isinstance(batch, int | float) and not isinstance(batch, bool) and batch < 1)


def settled_batch(ledger: Ledger) -> int | None:
    """Return the batch that goes for all arms; None: it was not settled yet."""
    settled = [note.batch for note in ledger.records(NoteEntry) if note.batch is not None]
    return settled[-1] if settled else None

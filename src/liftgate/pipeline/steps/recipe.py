"""Recipe of a stage as it is trained, with the automatic batch of the study."""

from __future__ import annotations

from liftgate.backends.events import Json
from liftgate.ledger.chain import Ledger
from liftgate.ledger.records import NoteEntry
from liftgate.study.records import Stage


def recipe_of(ledger: Ledger, stage: Stage) -> Json:
    """Return a stage's recipe with the batch that was chosen for `auto`; `auto` stays where none was chosen yet."""
    recipe = dict(stage.recipe)
    if is_auto_batch(recipe) and (batch := settled_batch(ledger)) is not None:
        recipe["batch"] = batch
    return recipe


def is_auto_batch(recipe: Json) -> bool:
    """Return whether the batch is automatic: `auto`, or for Ultralytics -1 or a fraction of the memory.

    >>> [is_auto_batch({"batch": batch}) for batch in ("auto", -1, 0.7, 16)], is_auto_batch({})
    ([True, True, True, False], False)
    """
    batch = recipe.get("batch")
    return batch == "auto" or (isinstance(batch, int | float) and not isinstance(batch, bool) and batch < 1)


def settled_batch(ledger: Ledger) -> int | None:
    """Return the automatic batch of all arms; None: not chosen yet."""
    settled = [note.batch for note in ledger.records(NoteEntry) if note.batch is not None]
    return settled[-1] if settled else None

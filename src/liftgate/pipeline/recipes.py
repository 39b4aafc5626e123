"""Recipes: what the trainer would refuse in one, refused before anything is trained.

`check` says the same with reasons; a flow may leave it out, and a later phase would be refused days later.
"""

from __future__ import annotations

from liftgate.backends.arguments import check_recipe, known_arguments
from liftgate.checks.arguments import ARGUMENTS, complaint
from liftgate.errors import UsageError
from liftgate.study.records import Study


def demand_recipes(study: Study) -> None:
    """Refuse arguments that Ultralytics does not know, and values that it does not take.

    Raises:
        UsageError: which one, of which stage, and what was probably meant.
    """
    if study.backend != "ultralytics":
        return  # another backend knows its own
    for arm in study.arms:
        for number, stage in enumerate(arm.stages, start=1):
            where = f"{study.source}: {arm.name}, stage {number}"
            check_recipe(stage.recipe, known_arguments() or ARGUMENTS, where)
            for name, value in stage.recipe.items():
                if wrong := complaint(name, value) if name in ARGUMENTS else None:
                    raise UsageError(f"{name}: {wrong}", where=where)

"""The judged part of a draw that may stop: the first groups of its order, whose questions are all answered."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import fields, replace

import numpy as np

from liftgate.errors import DataError
from liftgate.judging.draw import Draw, UnitColumns


def judged_part(draw: Draw, answered: Collection[str]) -> Draw:
    """Return the draw restricted to the groups that have been judged, in the order of the draw.

    Groups about which nothing is asked count as judged when it is their turn: the first groups of a random order are a
    sample of all groups only if none is passed over.

    Args:
        draw: a draw with `until`.
        answered: ids of the questions that have an answer.

    Raises:
        DataError: not a single group is complete.
    """
    open_ = {draw.images[one.image].group for one in draw.questions if one.id not in answered}
    done: set[str] = set()
    for group in draw.group_order:
        if group in open_:
            break
        done.add(group)
    if not any(draw.images[one.image].group in done for one in draw.questions):
        raise DataError(
            "no group is judged completely yet", got=f"{len(answered)} answers",
            hint="go on with the page: its questions come group by group",
        )  # fmt: skip
    return _restricted(draw, done)


def _restricted(draw: Draw, groups: set[str]) -> Draw:
    kept = np.array([image.group in groups for image in draw.images], dtype=np.bool_)
    place = np.cumsum(kept) - 1
    units = np.flatnonzero(kept[np.array(draw.units.image, dtype=np.int64)])
    unit_place = {int(unit): index for index, unit in enumerate(units)}
    columns = {
        field.name: tuple(getattr(draw.units, field.name)[unit] for unit in units) for field in fields(UnitColumns)
    }
    columns["image"] = tuple(int(place[image]) for image in columns["image"])
    return replace(
        draw,
        images=tuple(image for image in draw.images if image.group in groups),
        units=UnitColumns(**columns),
        image_probability=tuple(p for p, keep in zip(draw.image_probability, kept, strict=True) if keep),
        questions=tuple(
            replace(one, image=int(place[one.image]), unit=unit_place.get(one.unit, -1))
            for one in draw.questions
            if kept[one.image]
        ),
    )

"""Decide without a model whether boxes lie where the objects are, or which mistake of a converter moved them.

Boxes are read as stored and with each known mistake undone (`box_conventions.py`). Two kinds of evidence compare an
image's own boxes with those of other images, placed in the same image:

- content (`box_consistency.py`): what is learned inside boxes under a reading, does it lie inside held-out boxes?
- edges (`box_edges.py`): do the sides fall on steps in brightness, at the best margin?

Content decides where its peak over all readings is significant and leads over every other kind of mistake; edges may
agree, contradict, or decide alone where content is inconclusive. Where they contradict each other, the answer is "not
decidable" (`geometry_evidence.py` decides). The unit of all statistics is the scene (`views.py`), and z-values come
from Student's t, so that few scenes give little certainty.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from liftgate.checks.probes.box_conventions import (
    NEXT,
    PREVIOUS,
    STORED,
    in_other_units,
    read_boxes,
    scaled_by,
)
from liftgate.checks.probes.geometry_evidence import (
    Answer,
    Decision,
    Evidence,
    SceneEvidence,
    column_of,
    z_over_scenes,
)
from liftgate.checks.probes.geometry_tables import GeometryTables, measure
from liftgate.checks.probes.views import Floats, View, choose_views
from liftgate.data.core.dataset import Dataset, Image

MIN_SCENES = 12
"""Scenes below which nothing is decided"""

_MIN_HELD_OUT_SCENES = 8
_MAX_EXAMPLES = 200  # the clearest first
_CONFIRMED_Z = 2.5  # z of the gain in held-out images


@dataclass(frozen=True, slots=True, eq=False)
class Geometry:
    """The result of the probe, with example images."""

    decision: Decision
    n_images: int
    examples: tuple[GeometryExample, ...]
    """images on which the best reading gains most over the stored boxes, the clearest first"""

    @property
    def answer(self) -> Answer:
        """Return whether the labels fit."""
        return self.decision.answer

    @property
    def stored(self) -> Evidence:
        """Return the evidence for the labels as stored."""
        return self.decision.stored

    @property
    def best(self) -> Evidence:
        """Return the best of the other readings."""
        return self.decision.best


class Confirmation(NamedTuple):
    """A result from two thirds of the scenes, and whether the other third confirms it."""

    found: Geometry
    confirmed_by: int
    """Number of held-out images, which confirm the result; 0: they do not"""


class GeometryExample(NamedTuple):
    """An image with its boxes as stored and corrected; (n, 4) centre and size in fractions of the image."""

    image: Image
    stored: Floats
    """empty where their unit puts them outside the image"""
    corrected: Floats


def probe(dataset: Dataset) -> Geometry | None:
    """Return whether the boxes fit, from at most 120 images; None where fewer than 12 scenes have large enough boxes.

    Numbers in a wrong unit are tried in each possible unit, combined with every reading.
    """
    answers = [_probe_views(choose_views(read), unit) for unit, read in _datasets_by_unit(dataset).items()]
    return _best_result(answers)


def probe_confirmed(dataset: Dataset) -> Confirmation | None:
    """Return the result from two thirds of the scenes, and how many images of the other third confirm it.

    Boxes are corrected only on a confirmed result: the chosen reading always fits the images that it was chosen on.

    Returns:
        None where two thirds have fewer than 12 scenes. Fewer than 8 held-out scenes confirm nothing.
    """
    units = {unit: choose_views(read) for unit, read in _datasets_by_unit(dataset).items()}
    found = _best_result([_probe_views(_third_of_scenes(views, held_out=False), unit) for unit, views in units.items()])
    if found is None:
        return None
    name = found.best.transform
    unit = next((one for one in units if one and name.startswith(one)), "")
    held_out = _third_of_scenes(units[unit], held_out=True)
    if len({view.scene for view in held_out}) < _MIN_HELD_OUT_SCENES:
        return Confirmation(found, 0)
    if found.answer != "does not fit":
        return Confirmation(found, 0)
    again = _probe_views(held_out, unit)
    holds = again is not None and again.answer == "does not fit" and again.best.transform == name
    if not holds and not unit:
        holds = z_over_scenes(SceneEvidence.of(measure(held_out).by_scene()).ahead(name)[:, None])[0] >= _CONFIRMED_Z
    return Confirmation(found, len(held_out) if holds else 0)


def _datasets_by_unit(dataset: Dataset) -> dict[str, Dataset]:
    """Return unit → data set, for each unit that its numbers may be in; under "" where the unit is right."""
    return in_other_units(dataset) or {"": dataset}


def _third_of_scenes(views: Sequence[View], *, held_out: bool) -> list[View]:
    """Return the views of every third scene, or of all others."""
    return [view for view in views if (view.scene % 3 == 2) == held_out]


def _best_result(answers: Sequence[Geometry | None]) -> Geometry | None:
    """Return the most certain of the answers for each unit; a unit that needs no scale besides comes first."""
    found = [one for one in answers if one is not None]
    certain = [one for one in found if one.answer == "does not fit"]
    plain = [one for one in certain if "scaled by" not in one.best.transform]
    return max(plain or certain or found, key=lambda one: one.best.gain, default=None)


def _probe_views(views: Sequence[View], unit: str = "") -> Geometry | None:
    if len({view.scene for view in views}) < MIN_SCENES:
        return None
    tables = measure(views)
    decision = decide(tables)
    if unit:
        decision = _decision_in_unit(decision, tables, unit)
    elif decision.answer == "does not fit" and decision.best.transform == "transposed":
        decision = _with_scale(decision, views)
    name = decision.best.transform.removeprefix(unit).removeprefix(", ") or STORED
    order = np.argsort(-_gain_by_image(tables, name), kind="stable")[:_MAX_EXAMPLES]
    shown = [_example(views[i], name, bool(unit)) for i in order]
    return Geometry(decision, len(views), tuple(shown))


def decide(tables: GeometryTables) -> Decision:
    """Return the decision from the tables; the same tables give the same decision."""
    scenes = tables.by_scene()
    evidence = SceneEvidence.of(scenes)
    if len(scenes) < MIN_SCENES:
        return evidence.decision("not decidable")
    found = evidence.mistakes()
    mixed = evidence.mixed_with()
    if len(found) == 1 and mixed is None and evidence.holds_in_halves(found[0]):
        return evidence.decision("does not fit", found[0])
    if mixed is None and not found and evidence.fits():
        return evidence.decision("fits")
    return evidence.decision("not decidable", mixed or (found[0] if found else None), mixed)


def _decision_in_unit(decision: Decision, tables: GeometryTables, unit: str) -> Decision:
    """Return the decision for boxes read in another unit; as stored they lie outside the image."""
    evidence = SceneEvidence.of(tables.by_scene())
    named = decision.answer == "does not fit"
    sure = named or evidence.is_stored_on_objects()
    first = decision.best if named else decision.stored
    name = f"{unit}, {decision.best.transform}" if named else unit
    # Grids of 1000 and 1024 differ by 2%: the content decides which of them is meant.
    gain = float(evidence.content[:, 0].mean()) if not named else first.gain
    nowhere = Evidence(STORED, 0.0, 0.0, 0.0)
    return Decision(
        "does not fit" if sure else "not decidable",
        (nowhere, Evidence(name, first.ridge, first.z, gain), *decision.evidence[2:]),
        decision.n_scenes,
    )


def _with_scale(decision: Decision, views: Sequence[View]) -> Decision:
    """Return the decision with a scale added to its reading where transposed boxes are significantly scaled too."""
    name = decision.best.transform
    undone = [replace(view, own=read_boxes(view.own, name), others=read_boxes(view.others, name)) for view in views]
    scale = SceneEvidence.of(measure(undone).by_scene()).sure_scale()
    if scale is None:
        return decision
    named = decision.best._replace(transform=scaled_by(scale, name))
    return Decision(decision.answer, (decision.stored, named, *decision.evidence[2:]), decision.n_scenes)


def _gain_by_image(tables: GeometryTables, name: str) -> Floats:
    """Return (n,) the gain of a reading in each image, to order the examples."""
    content = tables.content.max(axis=-1)
    gain: Floats = content[:, column_of(name)] - content[:, 0]
    return gain


def _example(view: View, name: str, in_unit: bool) -> GeometryExample:
    """Return all boxes of a view, as stored and corrected."""
    if name == NEXT:
        corrected = view.next
    elif name == PREVIOUS:
        corrected = view.previous
    else:
        corrected = read_boxes(view.own, name)
    return GeometryExample(view.image, view.own[:0] if in_unit else view.own, corrected)

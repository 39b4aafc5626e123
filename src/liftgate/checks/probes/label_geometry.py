"""The label geometry probe: do the boxes lie where the objects are? No model is needed.

Boxes are read as stored and with every mistake undone that converters make (`box_conventions.py`), and three witnesses
compare an image's own boxes with those of other images in the same picture:

- edges (`box_edges.py`): do the sides fall on steps in brightness, at the margin at which they do best?
- patches (`box_content.py`): do the boxes hold what those of other images do not?
- location (`box_content.py`): where inside and beside the boxes does that content lie?

Edges and patches find mistakes that put boxes elsewhere (transposed, mirrored, rotated, another image's labels);
location and edges find those that leave them near (a corner for the centre, a scale). One witness is enough when it is
sure and the other silent; with both, less is enough; where they disagree, the answer is "not decidable"
(`geometry_evidence.py` weighs them). The unit of all statistics is the scene (`views.py`), and z-values are those of
Student's t: few scenes are sure of little.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from liftgate.checks.probes.box_content import SCALES, location
from liftgate.checks.probes.box_conventions import (
    NEXT,
    PREVIOUS,
    STORED,
    in_other_units,
    read_boxes,
    scaled_by,
)
from liftgate.checks.probes.geometry_evidence import (
    CORNERS,
    FULL_SCALE,
    Answer,
    Decision,
    Evidence,
    SceneEvidence,
    z_over_scenes,
)
from liftgate.checks.probes.geometry_tables import NAMES, GeometryTables, measure
from liftgate.checks.probes.views import Floats, View, choose_views
from liftgate.data.core.dataset import Dataset, Image

FEWEST = 12
"""Scenes below which nothing is decided"""

_FEWEST_HELD_OUT = 8
_SHOWN = 200  # examples that are kept, the clearest first
_CONFIRMED = 2.5  # z of the gain in images that the decision did not use


@dataclass(frozen=True, slots=True, eq=False)
class Geometry:
    """What the probe answers, and an image to look at."""

    decision: Decision
    n_images: int
    examples: tuple[GeometryExample, ...]
    """images on which the best reading gains most on the stored labels, the clearest first"""

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
    """A decision, and whether images that it did not use confirm it."""

    found: Geometry
    confirmed_by: int
    """Images that did not take part in the decision and confirm it; 0: they do not"""


class GeometryExample(NamedTuple):
    """An image with its boxes as stored and corrected; (n, 4) centre and size in fractions of the image."""

    image: Image
    stored: Floats
    """none where their unit puts them nowhere in the picture"""
    corrected: Floats


def probe(dataset: Dataset) -> Geometry | None:
    """Return whether the labels fit, from at most 120 images; None: fewer than 12 scenes have boxes to judge by.

    Numbers in another unit than the format's are tried in each that they may be in, with every reading on top.
    """
    answers = [_probed(choose_views(read), unit) for unit, read in _units(dataset).items()]
    return _surest(answers)


def probe_confirmed(dataset: Dataset) -> Confirmation | None:
    """Return what two thirds of the scenes say, and how many images of the others confirm it.

    Boxes are changed only on such an answer: what was chosen because it fits best fits best where it was chosen.

    Returns:
        None where two thirds have fewer than 12 scenes; nothing is confirmed by fewer than 8.
    """
    units = {unit: choose_views(read) for unit, read in _units(dataset).items()}
    found = _surest([_probed(_part(views, held_out=False), unit) for unit, views in units.items()])
    if found is None:
        return None
    name = found.best.transform
    unit = next((one for one in units if one and name.startswith(one)), "")
    held_out = _part(units[unit], held_out=True)
    if len({view.scene for view in held_out}) < _FEWEST_HELD_OUT:
        return Confirmation(found, 0)
    if found.answer != "does not fit":
        return Confirmation(found, 0)
    again = _probed(held_out, unit)
    holds = again is not None and again.answer == "does not fit" and again.best.transform == name
    if not holds and not unit:
        holds = z_over_scenes(SceneEvidence.of(measure(held_out).by_scene()).ahead(name)[:, None])[0] >= _CONFIRMED
    return Confirmation(found, len(held_out) if holds else 0)


def _units(dataset: Dataset) -> dict[str, Dataset]:
    """The data set in each unit that its numbers may be in; under "" where they are what is due."""
    return in_other_units(dataset) or {"": dataset}


def _part(views: Sequence[View], *, held_out: bool) -> list[View]:
    """Every third scene, or all others."""
    return [view for view in views if (view.scene % 3 == 2) == held_out]


def _surest(answers: Sequence[Geometry | None]) -> Geometry | None:
    found = [one for one in answers if one is not None]
    return max(found, key=lambda one: (one.answer == "does not fit", one.best.gain), default=None)


def _probed(views: Sequence[View], unit: str = "") -> Geometry | None:
    if len({view.scene for view in views}) < FEWEST:
        return None
    tables = measure(views)
    decision = decide(tables)
    if unit:
        decision = _in_unit(decision, tables, unit)
    elif decision.answer == "does not fit" and decision.best.transform == "transposed":
        decision = _with_scale(decision, views)
    name = decision.best.transform.removeprefix(unit).removeprefix(", ") or STORED
    order = np.argsort(-_gain_by_image(tables, name), kind="stable")[:_SHOWN]
    shown = [_example(views[i], name, bool(unit)) for i in order]
    return Geometry(decision, len(views), tuple(shown))


def decide(tables: GeometryTables) -> Decision:
    """Return what the tables say; the same tables give the same answer."""
    scenes = tables.by_scene()
    evidence = SceneEvidence.of(scenes)
    if len(scenes) < FEWEST:
        return evidence.decision("not decidable")
    far, near = evidence.far_mistakes(), evidence.near_mistake()
    if len(far) == 1 and evidence.holds_in_halves(far[0]):
        return evidence.decision("does not fit", far[0])
    if far:
        return evidence.decision("not decidable", far[0])
    if near is not None and evidence.holds_in_halves(near):
        return evidence.decision("does not fit", near)
    mixed = evidence.mixed_with()
    if mixed is None and near is None and evidence.fits():
        return evidence.decision("fits")
    return evidence.decision("not decidable", mixed, mixed)


def _in_unit(decision: Decision, tables: GeometryTables, unit: str) -> Decision:
    """The decision on boxes read in another unit: as stored they lie nowhere in the image."""
    evidence = SceneEvidence.of(tables.by_scene())
    named = decision.answer == "does not fit"
    sure = named or evidence.is_stored_on_objects()
    first = decision.best if named else decision.stored
    name = f"{unit}, {decision.best.transform}" if named else unit
    # Two grids differ by 2%: the one under which content lies best inside the boxes is meant.
    gain = float(evidence.located[:, 2 + FULL_SCALE].mean()) if not named else first.gain
    nowhere = Evidence(STORED, 0.0, 0.0, 0.0)
    return Decision(
        "does not fit" if sure else "not decidable",
        (nowhere, Evidence(name, first.ridge, first.z, gain), *decision.evidence[2:]),
        decision.n_scenes,
    )


def _with_scale(decision: Decision, views: Sequence[View]) -> Decision:
    """Name the scale as well where transposed boxes are surely scaled too."""
    name = decision.best.transform
    table = location(views, lambda boxes: read_boxes(boxes, name))
    empty = np.zeros((len(views), len(NAMES)))
    tables = GeometryTables(
        np.array([view.scene for view in views], dtype=np.int64),
        empty[..., None],
        empty,
        table,
        np.zeros((len(views), len(SCALES), 1, 1)),
    )
    scale = SceneEvidence.of(tables.by_scene()).sure_scale()
    if scale is None:
        return decision
    named = decision.best._replace(transform=scaled_by(1 / scale, name))
    return Decision(decision.answer, (decision.stored, named, *decision.evidence[2:]), decision.n_scenes)


def _gain_by_image(tables: GeometryTables, name: str) -> Floats:
    """(n,) what a reading gains in each image."""
    if name in NAMES and name not in CORNERS:
        gain: Floats = tables.ranks[:, NAMES.index(name)] - tables.ranks[:, 0]
        return gain
    if name in CORNERS:
        edges: Floats = np.abs(tables.edges).max(axis=-1)
        return edges[:, NAMES.index(name)] - edges[:, 0]
    gains: Floats = tables.location.max(axis=(1, 2, 3)) - tables.location[:, FULL_SCALE].max(axis=(1, 2))
    return gains


def _example(view: View, name: str, in_unit: bool) -> GeometryExample:
    """The view's boxes both ways, all of them."""
    if name == NEXT:
        corrected = view.next
    elif name == PREVIOUS:
        corrected = view.previous
    else:
        corrected = read_boxes(view.own, name)
    return GeometryExample(view.image, view.own[:0] if in_unit else view.own, corrected)

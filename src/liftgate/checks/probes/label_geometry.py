"""The label geometry probe: do the boxes lie where the objects are? No model is needed.

Boxes are read as stored and with every mistake undone that converters make (`box_conventions.py`), and three witnesses
compare an image's own boxes with those of other images in the same picture:

- edges (`box_edges.py`): do the sides fall on steps in brightness, at the margin at which they do best?
- patches (`box_content.py`): do the boxes hold what those of other images do not?
- location (`box_content.py`): where inside and beside the boxes does that content lie?

Edges and patches find mistakes that put boxes elsewhere (transposed, mirrored, rotated, another image's labels);
location and edges find those that leave them near (a corner for the centre, a scale). One witness is enough when it is
sure and the other silent; with both, less is enough; where they disagree, the answer is "not decidable". The unit of
all statistics is the scene (`views.py`), and z-values are those of Student's t: few scenes are sure of little.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from scipy.special import ndtri, stdtr

from liftgate.checks.probes.box_content import SCALES, SHIFTS, location
from liftgate.checks.probes.box_conventions import (
    NEXT,
    PREVIOUS,
    STORED,
    in_other_units,
    read_boxes,
    scale_factor,
    scaled_by,
)
from liftgate.checks.probes.geometry_tables import CENTRAL, NAMES, GeometryTables, measure
from liftgate.checks.probes.views import Floats, View, choose_views
from liftgate.data.core.dataset import Dataset, Image

Answer = Literal["fits", "does not fit", "not decidable"]
FEWEST = 12
"""Scenes below which nothing is decided"""

# Calibrated on 19 sound sets of many kinds and planted mistakes; benchmarks/geometry.py has the counts.
_EDGES, _EDGES_ALONE = 4.5, 6.0  # z of a ridge that is there, and of one that may decide alone
_TIMES, _MORE = 1.8, 3.0  # how much more of it another reading must have than the boxes as stored
_AHEAD = 1.25  # how much more of it the boxes as stored must have than all others, to speak for them
_PATCHES, _GAIN, _GAIN_ALONE = 5.0, 3.5, 4.5  # z of the ranking, and of its gain on the boxes as stored
_BEHIND = -2.0  # a gain that speaks for the boxes as stored
_LOCATED, _LOCATED_ALONE = 2.0, 3.5  # z of the gain in location, with edges that agree and without
_AGREES = 3.0  # z of a ridge that agrees with what the location says
_SCALE_AHEAD = 1.15  # how much more of it the agreed scale must have than none
_APART = 1.0  # z between the best reading and the next of another kind
_SCALE = 0.03  # a smaller scale is what people draw, and no error
_NEAR_SCALE = 0.03  # two witnesses agree on a scale
_MIXED, _MIXED_SCENES, _MIXED_GAIN = 0.15, 4, 0.35  # share and number of scenes that are clearly labelled another way
_FEWEST_HELD_OUT = 8
_HALVES = 20
_SHOWN = 200  # examples that are kept, the clearest first
_CONFIRMED = 2.5  # z of the gain in images that the decision did not use
_CORNERS = ("corner-for-centre", "centre-for-corner")
_FAR = tuple(name for name in NAMES if name != STORED and name not in _CORNERS)
_ONE = SCALES.index(1.0)


class Evidence(NamedTuple):
    """How well the labels fit under one reading."""

    transform: str
    ridge: float
    """mean over scenes at the best margin, in units of the picture's mean gradient"""
    z: float
    """the ridge in standard errors over scenes, at the margin where it is largest; its sign does not count"""
    gain: float
    """what content gains on the labels as stored, in standard errors over scenes"""


@dataclass(frozen=True, slots=True)
class Decision:
    """What the tables say."""

    answer: Answer
    evidence: tuple[Evidence, ...]
    """`as stored` first, then the reading that the answer names, then the others from the best"""
    n_scenes: int
    mixed_with: str | None = None
    """Another reading that clearly fits some of the scenes better: part of the labels may be made another way"""

    @property
    def stored(self) -> Evidence:
        """Return the evidence for the labels as stored."""
        return self.evidence[0]

    @property
    def best(self) -> Evidence:
        """Return the best of the other readings."""
        return self.evidence[1]


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
        holds = _z(_Summary.of(measure(held_out).by_scene()).ahead(name)[:, None])[0] >= _CONFIRMED
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
    evidence = _Summary.of(scenes)
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


@dataclass(frozen=True, slots=True, eq=False)
class _Summary:
    """Statistics over scenes, by reading."""

    scenes: GeometryTables
    edge: Floats
    """(readings,) |z| of the ridge at its best margin"""
    rank: Floats
    """(readings,) z of the ranking of patches"""
    gain: Floats
    """(readings,) z of its gain on the labels as stored"""
    located: Floats
    """(n, 2 + scales) location of the corner readings and of every scale, each at its best spread"""
    edge_scale: Floats
    """(scales,) |z| of the ridge at the best margin and shift"""

    @classmethod
    def of(cls, scenes: GeometryTables) -> _Summary:
        best = np.take_along_axis(
            scenes.location, scenes.location.mean(axis=0).argmax(axis=-1)[None, :, :, None], axis=-1
        )[..., 0]
        corner = best[:, _ONE, SHIFTS.index(0.375) :]
        centre = best[:, _ONE, : SHIFTS.index(-0.375) + 1]
        central = best[:, :, CENTRAL]
        columns = [_largest(corner), _largest(centre), *(_largest(central[:, i]) for i in range(len(SCALES)))]
        return cls(
            scenes,
            edge=np.abs(_z(scenes.edges)).max(axis=-1),
            rank=_z(scenes.ranks),
            gain=_z(scenes.ranks - scenes.ranks[:, :1]),
            located=np.stack(columns, axis=1),
            edge_scale=np.abs(_z(scenes.edge_scales)).max(axis=(1, 2)),
        )

    def far_mistakes(self) -> list[str]:
        """Readings that put boxes elsewhere and fit surely better; several only where they cannot be distinguished."""
        found = [name for name in _FAR if self._is_far_mistake(NAMES.index(name))]
        found.sort(key=lambda name: (-self.scenes.ranks[:, NAMES.index(name)].mean(), name))
        first = self.scenes.ranks[:, [NAMES.index(found[0])]] if found else self.scenes.ranks[:, :1]
        ahead = _z(first - self.scenes.ranks)
        return [name for name in found if name == found[0] or ahead[NAMES.index(name)] < _APART]

    def _is_far_mistake(self, i: int) -> bool:
        edges_for = self.edge[i] >= max(_EDGES, _TIMES * self.edge[0], self.edge[0] + _MORE)
        edges_against = self.edge[0] >= max(_EDGES, _AHEAD * self.edge[i])
        patches_for = self.rank[i] >= _PATCHES and self.gain[i] >= _GAIN
        patches_against = self.gain[i] <= _BEHIND
        if edges_for and patches_for:
            return True
        if patches_for and self.gain[i] >= _GAIN_ALONE:
            return not edges_against
        return bool(edges_for and self.edge[i] >= _EDGES_ALONE and not patches_against)

    def near_mistake(self) -> str | None:
        """The corner or scale that fits surely better than the boxes as stored and than every other such reading."""
        gain = _z(self.located - self.located[:, [2 + _ONE]])
        tried = [0, 1, *(2 + i for i, scale in enumerate(SCALES) if abs(scale - 1) >= _SCALE)]
        best = max(tried, key=lambda column: self.located[:, column].mean())
        if gain[best] >= _LOCATED and self._apart(best) >= _APART:
            if best >= 2:
                return scaled_by(1 / self._scale()) if self._is_scale(best - 2, gain[best]) else None
            if self._is_corner(best, gain[best]):
                return _CORNERS[best]
        for i, name in enumerate(_CORNERS):  # where content does not know, edges may
            edge = self.edge[NAMES.index(name)]
            sure = edge >= max(_EDGES, _TIMES * self.edge[0], self.edge[0] + _MORE, _AHEAD * self.edge_scale.max())
            if sure and gain[i] > _BEHIND:
                return name
        return None

    def _is_corner(self, i: int, gain: float) -> bool:
        edge = self.edge[NAMES.index(_CORNERS[i])]
        edges_agree = edge >= max(_AGREES, _AHEAD * self.edge[0])
        edges_against = self.edge[0] >= max(_EDGES, _AHEAD * edge)
        return bool(edges_agree or (gain >= _LOCATED_ALONE and not edges_against))

    def _is_scale(self, i: int, gain: float) -> bool:
        edge_best = int(self.edge_scale.argmax())
        edges_agree = (
            abs(SCALES[edge_best] - SCALES[i]) <= _NEAR_SCALE
            and abs(SCALES[edge_best] - 1) >= _SCALE / 2
            and self.edge_scale[edge_best] >= max(_AGREES, _SCALE_AHEAD * self.edge_scale[_ONE])
        )
        edges_against = self.edge_scale[_ONE] >= max(_EDGES, _AHEAD * self.edge_scale[i])
        return bool(edges_agree or (gain >= _LOCATED_ALONE and not edges_against))

    def _apart(self, column: int) -> float:
        """By how many standard errors a reading's location exceeds that of the best of another kind."""
        kinds = np.array([0, 1, *([2] * len(SCALES))])
        rivals = np.flatnonzero(kinds != kinds[column])
        other = rivals[self.located[:, rivals].mean(axis=0).argmax()]
        return float(_z(self.located[:, [column]] - self.located[:, [other]])[0])

    def _scale(self) -> float:
        """The factor at the top of a parabola through the best three scales."""
        mean = self.located[:, 2:].mean(axis=0)
        best = int(np.clip(mean.argmax(), 1, len(SCALES) - 2))
        around = slice(best - 1, best + 2)
        a, b, _ = np.polyfit(np.array(SCALES[around]) - SCALES[best], mean[around], 2)
        top = SCALES[best] - b / (2 * a) if a < 0 else SCALES[best]
        return float(np.clip(top, SCALES[best - 1], SCALES[best + 1]))

    def fits(self) -> bool:
        """Whether the labels as stored are surely right: where objects are, at their centre and at their scale."""
        far = [NAMES.index(name) for name in _FAR]
        edges = self.edge[0] >= max(_EDGES, _AHEAD * self.edge[far].max())
        patches = self.rank[0] >= _PATCHES and self.gain[far].max() <= _BEHIND
        if not (edges or patches) or self.gain[far].max() > 0 or self.edge[far].max() > max(_EDGES, self.edge[0]):
            return False
        gain = _z(self.located - self.located[:, [2 + _ONE]])
        best = int(self.located[:, 2:].mean(axis=0).argmax())
        scaled = [2 + i for i, scale in enumerate(SCALES) if abs(scale - 1) > 1.5 * _SCALE]
        centred = all(
            gain[i] <= _BEHIND or (edges and gain[i] < 0 and self.edge[0] >= _AHEAD * self.edge[NAMES.index(name)])
            for i, name in enumerate(_CORNERS)
        )
        return bool(centred and abs(SCALES[best] - 1) < _SCALE and gain[scaled].max() < _BEHIND / 2)

    def mixed_with(self) -> str | None:
        """A reading whose patches are clearly better on some scenes, and clearly there at all."""
        better = (self.scenes.ranks - self.scenes.ranks[:, :1] >= _MIXED_GAIN).sum(axis=0)
        enough = max(_MIXED_SCENES, _MIXED * len(self.scenes))
        found = [NAMES.index(name) for name in _FAR]
        found = [i for i in found if better[i] >= enough and self.rank[i] >= _PATCHES - 1]
        return NAMES[max(found, key=lambda i: better[i])] if found else None

    def holds_in_halves(self, name: str) -> bool:
        """Whether the reading is ahead of the boxes as stored in both halves of the scenes, however they are halved."""
        ahead = self.ahead(name)
        rng = np.random.default_rng(0)
        for _ in range(_HALVES):
            first = rng.permutation(len(ahead)) % 2 == 0
            if min(ahead[first].mean(), ahead[~first].mean()) <= 0:
                return False
        return True

    def ahead(self, name: str) -> Floats:
        """(n,) what a reading gains on the boxes as stored, by the witness that decides on its kind."""
        if name in _FAR:
            i = NAMES.index(name)
            if self.gain[i] > 0:
                return self.scenes.ranks[:, i] - self.scenes.ranks[:, 0]
            return np.abs(self._ridge(i)) - np.abs(self._ridge(0))
        if name in _CORNERS:
            column = _CORNERS.index(name)
        else:
            column = 2 + int(np.abs(np.array(SCALES) - 1 / scale_factor(name)).argmin())
        ahead: Floats = self.located[:, column] - self.located[:, 2 + _ONE]
        if name in _CORNERS and ahead.mean() <= 0:  # edges alone decided
            return np.abs(self._ridge(NAMES.index(name))) - np.abs(self._ridge(0))
        return ahead

    def _ridge(self, i: int) -> Floats:
        """(n,) the ridge at the margin where it is surest, with the sign that makes it positive."""
        z = _z(self.scenes.edges[:, i])
        margin = int(np.abs(z).argmax())
        ridge: Floats = self.scenes.edges[:, i, margin] * (np.sign(z[margin]) or 1.0)
        return ridge

    def decision(self, answer: Answer, name: str | None = None, mixed_with: str | None = None) -> Decision:
        """Return the answer with the evidence for every reading, the named one first."""
        gain = _z(self.located - self.located[:, [2 + _ONE]])
        readings = [
            Evidence(
                reading,
                float(self._ridge(i).mean()),
                float(self.edge[i]),
                float(gain[_CORNERS.index(reading)] if reading in _CORNERS else self.gain[i]),
            )
            for i, reading in enumerate(NAMES)
        ]
        scales = [i for i, scale in enumerate(SCALES) if abs(scale - 1) >= _SCALE / 2]
        best = max(scales, key=lambda i: self.located[:, 2 + i].mean())
        ridge = float(np.abs(self.scenes.edge_scales[:, best].mean(axis=0)).max())
        scaled = name if name and name.startswith("scaled") else scaled_by(1 / SCALES[best])
        readings.append(Evidence(scaled, ridge, float(self.edge_scale[best]), float(gain[2 + best])))
        others = sorted(readings[1:], key=lambda one: (one.transform != name, -one.gain))
        return Decision(answer, (readings[0], *others), len(self.scenes), mixed_with)


def _largest(values: Floats) -> Floats:
    """(n,) the column of (n, k) with the largest mean."""
    column: Floats = values[:, int(values.mean(axis=0).argmax())]
    return column


def _z(values: Floats) -> Floats:
    """Mean over the first axis in standard errors, as the normal value that is as rare as that of Student's t."""
    n = len(values)
    if n < 2:
        return np.zeros(values.shape[1:])
    error = values.std(axis=0, ddof=1) / np.sqrt(n)
    t = np.divide(values.mean(axis=0), error, out=np.zeros(values.shape[1:]), where=error > 1e-12)
    z: Floats = -np.sign(t) * ndtri(np.maximum(stdtr(n - 1, -np.abs(t)), 1e-300))
    return z


def _in_unit(decision: Decision, tables: GeometryTables, unit: str) -> Decision:
    """The decision on boxes read in another unit: as stored they lie nowhere in the image."""
    evidence = _Summary.of(tables.by_scene())
    named = decision.answer == "does not fit"
    sure = named or evidence.rank[0] >= _PATCHES or evidence.edge[0] >= _EDGES
    first = decision.best if named else decision.stored
    name = f"{unit}, {decision.best.transform}" if named else unit
    # Two grids differ by 2%: the one under which content lies best inside the boxes is meant.
    gain = float(evidence.located[:, 2 + _ONE].mean()) if not named else first.gain
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
    evidence = _Summary.of(tables.by_scene())
    gain = _z(evidence.located - evidence.located[:, [2 + _ONE]])
    best = int(evidence.located[:, 2:].mean(axis=0).argmax())
    if abs(SCALES[best] - 1) < _SCALE / 2 or gain[2 + best] < _LOCATED_ALONE:
        return decision
    named = decision.best._replace(transform=scaled_by(1 / evidence._scale(), name))
    return Decision(decision.answer, (decision.stored, named, *decision.evidence[2:]), decision.n_scenes)


def _gain_by_image(tables: GeometryTables, name: str) -> Floats:
    """(n,) what a reading gains in each image."""
    if name in NAMES and name not in _CORNERS:
        gain: Floats = tables.ranks[:, NAMES.index(name)] - tables.ranks[:, 0]
        return gain
    if name in _CORNERS:
        edges: Floats = np.abs(tables.edges).max(axis=-1)
        return edges[:, NAMES.index(name)] - edges[:, 0]
    gains: Floats = tables.location.max(axis=(1, 2, 3)) - tables.location[:, _ONE].max(axis=(1, 2))
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

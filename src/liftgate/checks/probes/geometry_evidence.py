"""Evidence over the scenes of a data set for each reading of its boxes, and what is surely ahead of the others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from scipy.special import ndtri, stdtr

from liftgate.checks.probes.box_content import SCALES, SHIFTS
from liftgate.checks.probes.box_conventions import STORED, scale_factor, scaled_by
from liftgate.checks.probes.geometry_tables import CENTRAL, NAMES, GeometryTables
from liftgate.checks.probes.views import Floats

Answer = Literal["fits", "does not fit", "not decidable"]

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
_HALVES = 20

CORNERS = ("corner-for-centre", "centre-for-corner")
"""Readings that take a corner for the centre, or the other way round"""
_FAR = tuple(name for name in NAMES if name != STORED and name not in CORNERS)
FULL_SCALE = SCALES.index(1.0)
"""Column of the boxes' own size among the scales"""


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
class SceneEvidence:
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
    def of(cls, scenes: GeometryTables) -> SceneEvidence:
        """Return the statistics of tables with one row for each scene."""
        best = np.take_along_axis(
            scenes.location, scenes.location.mean(axis=0).argmax(axis=-1)[None, :, :, None], axis=-1
        )[..., 0]
        corner = best[:, FULL_SCALE, SHIFTS.index(0.375) :]
        centre = best[:, FULL_SCALE, : SHIFTS.index(-0.375) + 1]
        central = best[:, :, CENTRAL]
        columns = [_largest(corner), _largest(centre), *(_largest(central[:, i]) for i in range(len(SCALES)))]
        return cls(
            scenes,
            edge=np.abs(z_over_scenes(scenes.edges)).max(axis=-1),
            rank=z_over_scenes(scenes.ranks),
            gain=z_over_scenes(scenes.ranks - scenes.ranks[:, :1]),
            located=np.stack(columns, axis=1),
            edge_scale=np.abs(z_over_scenes(scenes.edge_scales)).max(axis=(1, 2)),
        )

    def far_mistakes(self) -> list[str]:
        """Return readings that put boxes elsewhere and surely fit better; several where nothing tells them apart."""
        found = [name for name in _FAR if self._is_far_mistake(NAMES.index(name))]
        found.sort(key=lambda name: (-self.scenes.ranks[:, NAMES.index(name)].mean(), name))
        first = self.scenes.ranks[:, [NAMES.index(found[0])]] if found else self.scenes.ranks[:, :1]
        ahead = z_over_scenes(first - self.scenes.ranks)
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
        """Return the corner or scale that surely fits better than the boxes as stored and every other such reading."""
        gain = z_over_scenes(self.located - self.located[:, [2 + FULL_SCALE]])
        tried = [0, 1, *(2 + i for i, scale in enumerate(SCALES) if abs(scale - 1) >= _SCALE)]
        best = max(tried, key=lambda column: self.located[:, column].mean())
        if gain[best] >= _LOCATED and self._apart(best) >= _APART:
            if best >= 2:
                return scaled_by(1 / self._scale()) if self._is_scale(best - 2, gain[best]) else None
            if self._is_corner(best, gain[best]):
                return CORNERS[best]
        for i, name in enumerate(CORNERS):  # where content does not know, edges may
            edge = self.edge[NAMES.index(name)]
            sure = edge >= max(_EDGES, _TIMES * self.edge[0], self.edge[0] + _MORE, _AHEAD * self.edge_scale.max())
            if sure and gain[i] > _BEHIND:
                return name
        return None

    def _is_corner(self, i: int, gain: float) -> bool:
        edge = self.edge[NAMES.index(CORNERS[i])]
        edges_agree = edge >= max(_AGREES, _AHEAD * self.edge[0])
        edges_against = self.edge[0] >= max(_EDGES, _AHEAD * edge)
        return bool(edges_agree or (gain >= _LOCATED_ALONE and not edges_against))

    def _is_scale(self, i: int, gain: float) -> bool:
        edge_best = int(self.edge_scale.argmax())
        edges_agree = (
            abs(SCALES[edge_best] - SCALES[i]) <= _NEAR_SCALE
            and abs(SCALES[edge_best] - 1) >= _SCALE / 2
            and self.edge_scale[edge_best] >= max(_AGREES, _SCALE_AHEAD * self.edge_scale[FULL_SCALE])
        )
        edges_against = self.edge_scale[FULL_SCALE] >= max(_EDGES, _AHEAD * self.edge_scale[i])
        return bool(edges_agree or (gain >= _LOCATED_ALONE and not edges_against))

    def _apart(self, column: int) -> float:
        """By how many standard errors a reading's location exceeds that of the best of another kind."""
        kinds = np.array([0, 1, *([2] * len(SCALES))])
        rivals = np.flatnonzero(kinds != kinds[column])
        other = rivals[self.located[:, rivals].mean(axis=0).argmax()]
        return float(z_over_scenes(self.located[:, [column]] - self.located[:, [other]])[0])

    def _scale(self) -> float:
        """The factor at the top of a parabola through the best three scales."""
        mean = self.located[:, 2:].mean(axis=0)
        best = int(np.clip(mean.argmax(), 1, len(SCALES) - 2))
        around = slice(best - 1, best + 2)
        a, b, _ = np.polyfit(np.array(SCALES[around]) - SCALES[best], mean[around], 2)
        top = SCALES[best] - b / (2 * a) if a < 0 else SCALES[best]
        return float(np.clip(top, SCALES[best - 1], SCALES[best + 1]))

    def sure_scale(self) -> float | None:
        """Return the scale at which content surely lies better than in boxes of the size as stored, if there is one."""
        gain = z_over_scenes(self.located - self.located[:, [2 + FULL_SCALE]])
        best = int(self.located[:, 2:].mean(axis=0).argmax())
        if abs(SCALES[best] - 1) < _SCALE / 2 or gain[2 + best] < _LOCATED_ALONE:
            return None
        return self._scale()

    def is_stored_on_objects(self) -> bool:
        """Return whether boxes as stored surely lie on objects, by their edges or by what is in them."""
        return bool(self.rank[0] >= _PATCHES or self.edge[0] >= _EDGES)

    def fits(self) -> bool:
        """Return whether labels as stored are surely right: where objects are, at their centre and at their scale."""
        far = [NAMES.index(name) for name in _FAR]
        edges = self.edge[0] >= max(_EDGES, _AHEAD * self.edge[far].max())
        patches = self.rank[0] >= _PATCHES and self.gain[far].max() <= _BEHIND
        if not (edges or patches) or self.gain[far].max() > 0 or self.edge[far].max() > max(_EDGES, self.edge[0]):
            return False
        gain = z_over_scenes(self.located - self.located[:, [2 + FULL_SCALE]])
        best = int(self.located[:, 2:].mean(axis=0).argmax())
        scaled = [2 + i for i, scale in enumerate(SCALES) if abs(scale - 1) > 1.5 * _SCALE]
        centred = all(
            gain[i] <= _BEHIND or (edges and gain[i] < 0 and self.edge[0] >= _AHEAD * self.edge[NAMES.index(name)])
            for i, name in enumerate(CORNERS)
        )
        return bool(centred and abs(SCALES[best] - 1) < _SCALE and gain[scaled].max() < _BEHIND / 2)

    def mixed_with(self) -> str | None:
        """Return a reading whose patches are clearly better on some scenes, and clearly there at all."""
        better = (self.scenes.ranks - self.scenes.ranks[:, :1] >= _MIXED_GAIN).sum(axis=0)
        enough = max(_MIXED_SCENES, _MIXED * len(self.scenes))
        found = [NAMES.index(name) for name in _FAR]
        found = [i for i in found if better[i] >= enough and self.rank[i] >= _PATCHES - 1]
        return NAMES[max(found, key=lambda i: better[i])] if found else None

    def holds_in_halves(self, name: str) -> bool:
        """Return whether a reading is ahead of the boxes as stored in both halves of the scenes, for every halving."""
        ahead = self.ahead(name)
        rng = np.random.default_rng(0)
        for _ in range(_HALVES):
            first = rng.permutation(len(ahead)) % 2 == 0
            if min(ahead[first].mean(), ahead[~first].mean()) <= 0:
                return False
        return True

    def ahead(self, name: str) -> Floats:
        """Return (n,) what a reading gains on the boxes as stored, by the witness that decides on its kind."""
        if name in _FAR:
            i = NAMES.index(name)
            if self.gain[i] > 0:
                return self.scenes.ranks[:, i] - self.scenes.ranks[:, 0]
            return np.abs(self._ridge(i)) - np.abs(self._ridge(0))
        if name in CORNERS:
            column = CORNERS.index(name)
        else:
            column = 2 + int(np.abs(np.array(SCALES) - 1 / scale_factor(name)).argmin())
        ahead: Floats = self.located[:, column] - self.located[:, 2 + FULL_SCALE]
        if name in CORNERS and ahead.mean() <= 0:  # edges alone decided
            return np.abs(self._ridge(NAMES.index(name))) - np.abs(self._ridge(0))
        return ahead

    def _ridge(self, i: int) -> Floats:
        """(n,) the ridge at the margin where it is surest, with the sign that makes it positive."""
        z = z_over_scenes(self.scenes.edges[:, i])
        margin = int(np.abs(z).argmax())
        ridge: Floats = self.scenes.edges[:, i, margin] * (np.sign(z[margin]) or 1.0)
        return ridge

    def decision(self, answer: Answer, name: str | None = None, mixed_with: str | None = None) -> Decision:
        """Return the answer with the evidence for every reading, the named one first."""
        gain = z_over_scenes(self.located - self.located[:, [2 + FULL_SCALE]])
        readings = [
            Evidence(
                reading,
                float(self._ridge(i).mean()),
                float(self.edge[i]),
                float(gain[CORNERS.index(reading)] if reading in CORNERS else self.gain[i]),
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


def z_over_scenes(values: Floats) -> Floats:
    """Return the mean over the first axis in standard errors, as the normal value as rare as that of Student's t."""
    n = len(values)
    if n < 2:
        return np.zeros(values.shape[1:])
    error = values.std(axis=0, ddof=1) / np.sqrt(n)
    t = np.divide(values.mean(axis=0), error, out=np.zeros(values.shape[1:]), where=error > 1e-12)
    z: Floats = -np.sign(t) * ndtri(np.maximum(stdtr(n - 1, -np.abs(t)), 1e-300))
    return z

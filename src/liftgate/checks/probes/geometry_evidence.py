"""Decide over the scenes of a data set which reading of its boxes fits significantly better than the others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from liftgate.checks.probes.box_content import SCALES, SHIFTS
from liftgate.checks.probes.box_conventions import STORED, scale_factor, scaled_by
from liftgate.checks.probes.geometry_tables import CENTRAL, READING_NAMES, GeometryTables
from liftgate.checks.probes.views import Floats

Answer = Literal["fits", "does not fit", "not decidable"]

# Calibrated on 19 sound sets of many kinds and planted mistakes; benchmarks/geometry.py has the counts.
_EDGE_Z, _EDGE_Z_ALONE = 4.5, 6.0  # z of the ridge: with other evidence, and alone
_BOTH_EDGE_Z, _BOTH_GAIN_Z = 4.0, 2.8  # z of the ridge, and of the patches' gain, where both are for a reading
_EDGE_RATIO, _EDGE_GAIN = 1.8, 3.0  # ratio and difference in z by which another reading must exceed the stored one
_EDGE_LEAD = 1.25  # ratio in z by which the stored reading must exceed all others to count for itself
_PATCH_Z, _PATCH_GAIN_Z, _PATCH_GAIN_Z_ALONE = 5.0, 3.5, 4.5  # z of the ranking, and of its gain over the stored boxes
_AGAINST_Z = -2.0  # z of the gain from which down it counts for the stored boxes
_LOCATION_Z, _LOCATION_Z_ALONE = 2.0, 3.5  # z of the gain in location: with agreeing edges, and alone
_AGREEING_EDGE_Z = 3.0  # z of a ridge that agrees with the location
_SCALE_EDGE_LEAD = 1.2  # ratio in z of the edges at that scale to those unscaled
_RIVAL_Z = 1.0  # z between the best reading and the best of another kind
_MIN_SCALE_ERROR = 0.03  # smaller errors of scale are within the precision of drawing
_SCALE_TOLERANCE = 0.03  # within which edges and location agree on a scale
_FEW_SCENES, _FEW_PEAK_GAIN_Z = 30, 4.5  # few scenes are often of a fixed camera: z that a scale needs there
_MAX_SCALE_DIFFERENCE = 0.05  # between what location and all evidence together estimate
_MIXED_SHARE, _MIXED_MIN_SCENES = 0.15, 4  # of scenes that clearly fit another reading
_MIXED_GAIN = 0.35  # by which the share of patches ranked correctly must be higher in such a scene
_N_HALVINGS = 20
_N_BOOTSTRAPS, _PEAK_SHARE = 200, 0.98  # share of bootstraps whose best reading is of the same kind
_PEAK_GAIN_Z = 4.0  # z of the gain over the stored boxes, in all evidence on small errors together
_AGREED_PEAK_GAIN_Z = 2.7  # the same where location alone points there by one standard error

CORNERS = ("corner-for-centre", "centre-for-corner")
"""Readings that take a corner for the centre, or the other way round"""
_FAR_READINGS = tuple(name for name in READING_NAMES if name != STORED and name not in CORNERS)
FULL_SCALE = SCALES.index(1.0)
"""Column of the boxes' own size among the scales"""
_AS_STORED = "stored"
NEAR_KINDS = np.array(
    [*CORNERS, *(_AS_STORED if abs(scale - 1) < _MIN_SCALE_ERROR else "<" if scale < 1 else ">" for scale in SCALES)]
)
"""Kind of mistake of each column of the evidence on small errors: corner, centre, and every scale"""


class Evidence(NamedTuple):
    """How well the boxes fit under one reading."""

    transform: str
    ridge: float
    """mean over scenes at the best margin, in units of the picture's mean gradient"""
    z: float
    """the ridge in standard errors over scenes, at the margin where it is largest; absolute value"""
    gain: float
    """gain of the content evidence over the stored boxes, in standard errors over scenes"""


@dataclass(frozen=True, slots=True)
class Decision:
    """The answer for one set of tables, with the evidence."""

    answer: Answer
    evidence: tuple[Evidence, ...]
    """`as stored` first, then the reading that the answer names, then the others, best first"""
    n_scenes: int
    mixed_with: str | None = None
    """Another reading that clearly fits some of the scenes better: part of the labels may have this mistake"""

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
    """Statistics over scenes for each reading, and the decision rules on them."""

    scenes: GeometryTables
    edge: Floats
    """(readings,) |z| of the ridge at its best margin"""
    rank: Floats
    """(readings,) z of the ranking of patches"""
    gain: Floats
    """(readings,) z of the ranking's gain over the stored boxes"""
    located: Floats
    """(n, 2 + scales) location of the corner readings and of every scale, each at its best spread"""
    edge_scale: Floats
    """(scales,) |z| of the ridge at the best margin and shift"""
    near: Floats
    """(n, 2 + scales) gain over the stored boxes in location, edges and, for the corner readings, patches; each in
    units of its standard deviation over scenes"""

    @classmethod
    def of(cls, scenes: GeometryTables) -> SceneEvidence:
        """Return the statistics of tables with one row for each scene."""
        best = np.take_along_axis(
            scenes.location, scenes.location.mean(axis=0).argmax(axis=-1)[None, :, :, None], axis=-1
        )[..., 0]
        corner = best[:, FULL_SCALE, SHIFTS.index(0.375) :]
        centre = best[:, FULL_SCALE, : SHIFTS.index(-0.375) + 1]
        central = best[:, :, CENTRAL]
        scaled = (_largest_mean_column(central[:, i]) for i in range(len(SCALES)))
        located = np.stack([_largest_mean_column(corner), _largest_mean_column(centre), *scaled], axis=1)
        corners = [READING_NAMES.index(name) for name in CORNERS]
        ranked = np.repeat(scenes.ranks[:, :1], located.shape[1], axis=1)
        ranked[:, :2] = scenes.ranks[:, corners]
        ridges = np.stack([_largest_ridge(scenes.edges[:, i]) for i in corners], axis=1)
        edged = np.concatenate([ridges, _ridge_by_scale(scenes.edge_scales)], axis=1)
        return cls(
            scenes,
            edge=np.abs(z_over_scenes(scenes.edges)).max(axis=-1),
            rank=z_over_scenes(scenes.ranks),
            gain=z_over_scenes(scenes.ranks - scenes.ranks[:, :1]),
            located=located,
            edge_scale=np.abs(z_over_scenes(scenes.edge_scales)).max(axis=(1, 2)),
            near=sum((_standardised_gain(values) for values in (located, edged, ranked)), np.zeros_like(located)),
        )

    def far_mistakes(self) -> list[str]:
        """Return readings that move boxes far and fit significantly better; several where they are tied."""
        found = [name for name in _FAR_READINGS if self._is_far_mistake(READING_NAMES.index(name))]
        found.sort(key=lambda name: (-self.scenes.ranks[:, READING_NAMES.index(name)].mean(), name))
        first = self.scenes.ranks[:, [READING_NAMES.index(found[0])]] if found else self.scenes.ranks[:, :1]
        ahead = z_over_scenes(first - self.scenes.ranks)
        return [name for name in found if name == found[0] or ahead[READING_NAMES.index(name)] < _RIVAL_Z]

    def _is_far_mistake(self, i: int) -> bool:
        edges_for = self.edge[i] >= max(_EDGE_Z, _EDGE_RATIO * self.edge[0], self.edge[0] + _EDGE_GAIN)
        edges_against = self.edge[0] >= max(_EDGE_Z, _EDGE_LEAD * self.edge[i])
        edges_lean = self.edge[i] >= max(_BOTH_EDGE_Z, _EDGE_LEAD * self.edge[0]) and self.edge[i] >= self.edge.max()
        patches_for = self.rank[i] >= _PATCH_Z and self.gain[i] >= _PATCH_GAIN_Z
        patches_against = self.gain[i] <= _AGAINST_Z
        if edges_for and patches_for:
            return True
        if edges_lean and self.rank[i] >= _PATCH_Z and self.gain[i] >= _BOTH_GAIN_Z:
            return True
        if patches_for and self.gain[i] >= _PATCH_GAIN_Z_ALONE:
            return not edges_against
        return bool(edges_for and self.edge[i] >= _EDGE_Z_ALONE and not patches_against)

    def near_mistakes(self) -> list[str]:
        """Return corner and scale readings that fit significantly better than the stored boxes.

        Several where the kinds of evidence name different ones.
        """
        together, apart = self._stable_peak(), self._located_mistake()
        found = [column for column in (together, apart) if column is not None]
        names = [CORNERS[column] for column in dict.fromkeys(found) if column < 2]
        if max(found, default=0) >= 2:
            scales = [1 / _best_scale(evidence[:, 2:]) for evidence in (self.located, self.near)]
            if apart is None or apart < 2:
                scales.reverse()
            names += map(scaled_by, scales if abs(scales[0] - scales[1]) > _MAX_SCALE_DIFFERENCE else scales[:1])
            by_edges, here = int(self.edge_scale.argmax()), int(np.abs(np.array(SCALES) - 1 / scales[0]).argmin())
            if self.edge_scale[by_edges] >= max(_EDGE_Z, _EDGE_LEAD * self.edge_scale[here]):
                names.append(scaled_by(1 / SCALES[by_edges]))
        return names

    def _stable_peak(self) -> int | None:
        """Return the column at which all evidence together peaks, if it does so in nearly every bootstrap; or None."""
        n = len(self.scenes)
        weights = np.random.default_rng(0).multinomial(n, np.full(n, 1 / n), size=_N_BOOTSTRAPS)
        kinds = NEAR_KINDS[(weights @ self.near).argmax(axis=1)]
        best = int(self.near.mean(axis=0).argmax())
        kind = NEAR_KINDS[best]
        if kind == _AS_STORED or (kinds == kind).mean() < _PEAK_SHARE:
            return None
        gain = z_over_scenes(self.located - self.located[:, [2 + FULL_SCALE]])[best]
        if gain <= (_AGAINST_Z if best < 2 else 0.0):
            return None
        enough = _PEAK_GAIN_Z if gain < 1 else _AGREED_PEAK_GAIN_Z
        if best >= 2 and n < _FEW_SCENES:
            enough = _FEW_PEAK_GAIN_Z
        return best if z_over_scenes(self.near)[best] >= enough else None

    def _located_mistake(self) -> int | None:
        """Return the column of the reading that location names, edges not being against it, or edges alone; or None."""
        gain = z_over_scenes(self.located - self.located[:, [2 + FULL_SCALE]])
        tried = np.flatnonzero(NEAR_KINDS != _AS_STORED)
        best = int(tried[self.located[:, tried].mean(axis=0).argmax()])
        if gain[best] >= _LOCATION_Z and self._lead(best) >= _RIVAL_Z:
            if best >= 2:
                at_peak = NEAR_KINDS[2 + self.located[:, 2:].mean(axis=0).argmax()] != _AS_STORED
                return best if at_peak and self._is_scale(best - 2, gain[best]) else None
            if self._is_corner(best, gain[best]):
                return best
        for i, name in enumerate(CORNERS):  # where content does not decide, edges may
            edge = self.edge[READING_NAMES.index(name)]
            lead = max(_EDGE_RATIO * self.edge[0], self.edge[0] + _EDGE_GAIN, _EDGE_LEAD * self.edge_scale.max())
            if edge >= max(_EDGE_Z, lead) and gain[i] > _AGAINST_Z:
                return i
        return None

    def _is_corner(self, i: int, gain: float) -> bool:
        edge = self.edge[READING_NAMES.index(CORNERS[i])]
        edges_agree = edge >= max(_AGREEING_EDGE_Z, _EDGE_LEAD * self.edge[0])
        edges_against = self.edge[0] >= max(_EDGE_Z, _EDGE_LEAD * edge)
        return bool(edges_agree or (gain >= _LOCATION_Z_ALONE and not edges_against))

    def _is_scale(self, i: int, gain: float) -> bool:
        there = np.abs(np.array(SCALES) - SCALES[i]) <= _SCALE_TOLERANCE
        there &= np.abs(np.array(SCALES) - 1) >= _MIN_SCALE_ERROR / 2
        edge = float(self.edge_scale[there].max())
        edges_agree = edge >= max(_AGREEING_EDGE_Z, _SCALE_EDGE_LEAD * self.edge_scale[FULL_SCALE])
        edges_against = self.edge_scale[FULL_SCALE] >= max(_EDGE_Z, _EDGE_LEAD * self.edge_scale[i])
        return bool(edges_agree or (gain >= _LOCATION_Z_ALONE and not edges_against))

    def _lead(self, column: int) -> float:
        """Return by how many standard errors a reading's location exceeds that of the best reading of another kind."""
        kinds = np.array([0, 1, *([2] * len(SCALES))])
        rivals = np.flatnonzero(kinds != kinds[column])
        other = rivals[self.located[:, rivals].mean(axis=0).argmax()]
        return float(z_over_scenes(self.located[:, [column]] - self.located[:, [other]])[0])

    def sure_scale(self) -> float | None:
        """Return the scale at which content lies significantly better than in the stored boxes, or None."""
        gain = z_over_scenes(self.located - self.located[:, [2 + FULL_SCALE]])
        best = int(self.located[:, 2:].mean(axis=0).argmax())
        if abs(SCALES[best] - 1) < _MIN_SCALE_ERROR / 2 or gain[2 + best] < _LOCATION_Z_ALONE:
            return None
        return _best_scale(self.located[:, 2:])

    def is_stored_on_objects(self) -> bool:
        """Return whether the stored boxes significantly lie on objects, by their edges or by their content."""
        return bool(self.rank[0] >= _PATCH_Z or self.edge[0] >= _EDGE_Z)

    def fits(self) -> bool:
        """Return whether the stored boxes are significantly right in position, centre and scale."""
        far = [READING_NAMES.index(name) for name in _FAR_READINGS]
        edges = self.edge[0] >= max(_EDGE_Z, _EDGE_LEAD * self.edge[far].max())
        patches = self.rank[0] >= _PATCH_Z and self.gain[far].max() <= _AGAINST_Z
        if not (edges or patches) or self.gain[far].max() > 0 or self.edge[far].max() > max(_EDGE_Z, self.edge[0]):
            return False
        gain = z_over_scenes(self.located - self.located[:, [2 + FULL_SCALE]])
        best = int(self.located[:, 2:].mean(axis=0).argmax())
        scaled = [2 + i for i, scale in enumerate(SCALES) if abs(scale - 1) > 1.5 * _MIN_SCALE_ERROR]
        centred = all(
            gain[i] <= _AGAINST_Z
            or (edges and gain[i] < 0 and self.edge[0] >= _EDGE_LEAD * self.edge[READING_NAMES.index(name)])
            for i, name in enumerate(CORNERS)
        )
        return bool(centred and abs(SCALES[best] - 1) < _MIN_SCALE_ERROR and gain[scaled].max() < _AGAINST_Z / 2)

    def mixed_with(self) -> str | None:
        """Return a reading whose patches are clearly better on some of the scenes, or None."""
        better = (self.scenes.ranks - self.scenes.ranks[:, :1] >= _MIXED_GAIN).sum(axis=0)
        enough = max(_MIXED_MIN_SCENES, _MIXED_SHARE * len(self.scenes))
        found = [READING_NAMES.index(name) for name in _FAR_READINGS]
        found = [i for i in found if better[i] >= enough and self.rank[i] >= _PATCH_Z - 1]
        return READING_NAMES[max(found, key=lambda i: better[i])] if found else None

    def holds_in_halves(self, name: str) -> bool:
        """Return whether the reading beats the stored boxes in both halves of the scenes, in 20 random halvings."""
        ahead = self.ahead(name)
        rng = np.random.default_rng(0)
        for _ in range(_N_HALVINGS):
            first = rng.permutation(len(ahead)) % 2 == 0
            if min(ahead[first].mean(), ahead[~first].mean()) <= 0:
                return False
        return True

    def ahead(self, name: str) -> Floats:
        """Return (n,) the gain of a reading over the stored boxes, in the kind of evidence that decides on it."""
        if name in _FAR_READINGS:
            i = READING_NAMES.index(name)
            if self.gain[i] > 0:
                return self.scenes.ranks[:, i] - self.scenes.ranks[:, 0]
            return np.abs(self._ridge(i)) - np.abs(self._ridge(0))
        scaled = 0.0 if name in CORNERS else 1 / scale_factor(name)
        column = CORNERS.index(name) if name in CORNERS else 2 + int(np.abs(np.array(SCALES) - scaled).argmin())
        located = self.located[:, column] - self.located[:, 2 + FULL_SCALE]
        return max(self.near[:, column], located, key=lambda gain: float(z_over_scenes(gain[:, None])[0]))

    def _ridge(self, i: int) -> Floats:
        return _largest_ridge(self.scenes.edges[:, i])

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
            for i, reading in enumerate(READING_NAMES)
        ]
        scales = [i for i, scale in enumerate(SCALES) if abs(scale - 1) >= _MIN_SCALE_ERROR / 2]
        best = max(scales, key=lambda i: self.located[:, 2 + i].mean())
        ridge = float(np.abs(self.scenes.edge_scales[:, best].mean(axis=0)).max())
        scaled = name if name and name.startswith("scaled") else scaled_by(1 / SCALES[best])
        readings.append(Evidence(scaled, ridge, float(self.edge_scale[best]), float(gain[2 + best])))
        others = sorted(readings[1:], key=lambda one: (one.transform != name, -one.gain))
        return Decision(answer, (readings[0], *others), len(self.scenes), mixed_with)


def _largest_mean_column(values: Floats) -> Floats:
    """Return (n,) the column of (n, k) with the largest mean."""
    column: Floats = values[:, int(values.mean(axis=0).argmax())]
    return column


def _largest_ridge(ridges: Floats) -> Floats:
    """Return (n,) the ridge of (n, margins) at the margin of largest |z|, signed so that its mean is positive."""
    z = z_over_scenes(ridges)
    margin = int(np.abs(z).argmax())
    ridge: Floats = ridges[:, margin] * (np.sign(z[margin]) or 1.0)
    return ridge


def _ridge_by_scale(ridges: Floats) -> Floats:
    """Return (n, scales) the ridge of (n, scales, shifts, margins) at one shift and margin: those of largest |z|."""
    flat = ridges.reshape(*ridges.shape[:2], -1)
    z = z_over_scenes(flat)
    scale, place = np.unravel_index(np.abs(z).argmax(), z.shape)
    signed: Floats = flat[:, :, place] * (np.sign(z[scale, place]) or 1.0)
    return signed


def _best_scale(evidence: Floats) -> float:
    """Return the factor at the maximum of a parabola through the best three scales of evidence (n, scales)."""
    mean = evidence.mean(axis=0)
    best = int(np.clip(mean.argmax(), 1, len(SCALES) - 2))
    around = slice(best - 1, best + 2)
    a, b, _ = np.polyfit(np.array(SCALES[around]) - SCALES[best], mean[around], 2)
    top = SCALES[best] - b / (2 * a) if a < 0 else SCALES[best]
    return float(np.clip(top, SCALES[best - 1], SCALES[best + 1]))


def _standardised_gain(values: Floats) -> Floats:
    """Return (n, 2 + scales) the gain over the stored boxes, in units of its standard deviation over scenes."""
    gain = values - values[:, [2 + FULL_SCALE]]
    spread = gain.std(axis=0)
    scaled: Floats = gain / (spread[spread > 0].mean() if spread.any() else 1.0)
    return scaled


def z_over_scenes(values: Floats) -> Floats:
    """Return the mean over the first axis in standard errors: the z with the same tail probability as Student's t."""
    from scipy.special import ndtri, stdtr  # 0.2 s at its first import, which a study without this probe does not need

    n = len(values)
    if n < 2:
        return np.zeros(values.shape[1:])
    error = values.std(axis=0, ddof=1) / np.sqrt(n)
    t = np.divide(values.mean(axis=0), error, out=np.zeros(values.shape[1:]), where=error > 1e-12)
    z: Floats = -np.sign(t) * ndtri(np.maximum(stdtr(n - 1, -np.abs(t)), 1e-300))
    return z

"""Decide over the scenes of a data set which reading of its boxes fits significantly better than the others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from liftgate.checks.probes.box_conventions import scale_factor, scaled_by
from liftgate.checks.probes.geometry_tables import FACTORS, READING_NAMES, GeometryTables
from liftgate.checks.probes.views import Floats

Answer = Literal["fits", "does not fit", "not decidable"]

# Calibrated on 18 sound sets of many kinds and planted mistakes; benchmarks/geometry.py has the counts.
_GAIN_Z, _GAIN_Z_ALONE = 2.5, 3.0  # z of the content's gain over the stored boxes: with agreeing edges, and without
_MAX_STORED_SHARE = 0.88  # of a reading's content that the stored boxes may have where the reading is named
_LEAD_Z = 1.5  # z between the best reading and the best of another kind
_SEEN_Z = 2.4  # z of the content, from which on a reading lies on anything at all
_EDGE_Z, _EDGE_Z_ALONE = 4.5, 6.0  # z of the ridge from which on edges count, and decide without content
_EDGE_RATIO, _EDGE_GAIN = 1.8, 3.0  # ratio and difference in z by which edges alone must exceed those as stored
_EDGE_LEAD = 1.25  # ratio in z from which on edges are for one of two readings
_AGREEING_EDGE_Z = 3.0
_AGAINST_Z = -2.0  # z of the gain from which down it counts for the stored boxes
_MIN_SCALE_ERROR = 0.03  # smaller errors of scale are within the precision of drawing
_FEATURE_PIXELS = 4.0  # pixels of the reduced image: features have half of its size
_CLOSE_SCALE = 0.08  # scales that the stored boxes need not be told from for certain
_MIXED_SHARE, _MIXED_MIN_SCENES = 0.2, 4  # of scenes that clearly fit another reading, or the stored boxes
_MIXED_RATIO = 0.3  # between the content of a reading and that as stored, from which on each may be that of a part
_MIXED_Z, _MIXED_Z_TOGETHER = 2.2, 3.4  # z of the content of each, and of their sum
_MIXED_LEAD = 1.5  # ratio by which a third reading's content may exceed that of both
_RIVAL_SHARE = 0.6  # content of a reading over that as stored, up to which the stored boxes fit
_N_HALVINGS = 20

CORNERS = ("corner-for-centre", "centre-for-corner")
"""Readings that take a corner for the centre, or the other way round"""
SCALED = tuple(range(len(READING_NAMES) - len(FACTORS), len(READING_NAMES)))
"""Columns of the scales"""
_APART = tuple(range(1, SCALED[0]))
"""Columns of all mistakes but scales"""
_FAR = tuple(i for i in _APART if READING_NAMES[i] not in CORNERS)
_KINDS = np.array(
    [
        *READING_NAMES[: SCALED[0]],
        *("smaller" if factor < 1 else "larger" for factor in FACTORS),
    ]
)
"""Kind of mistake of each column: every scale below 1 is one kind, and every scale above"""


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
    content: Floats
    """(n, readings) learned score inside boxes less that beside them, at the spread of largest mean"""
    edge: Floats
    """(readings,) |z| of the ridge at its best margin"""
    strength: Floats
    """(readings,) z of the content"""
    gain: Floats
    """(readings,) z of the content's gain over the stored boxes"""

    @classmethod
    def of(cls, scenes: GeometryTables) -> SceneEvidence:
        """Return the statistics of tables with one row for each scene."""
        spread = scenes.content.mean(axis=0).argmax(axis=-1)
        content = np.take_along_axis(scenes.content, spread[None, :, None], axis=-1)[..., 0]
        return cls(
            scenes,
            content,
            edge=np.abs(z_over_scenes(scenes.edges)).max(axis=-1),
            strength=z_over_scenes(content),
            gain=z_over_scenes(content - content[:, :1]),
        )

    def mistakes(self) -> list[str]:
        """Return the readings that fit significantly better than the stored boxes; several where evidence disagrees."""
        found = [] if (by_content := self._by_content()) is None else [self._name(by_content)]
        by_edges = self._by_edges()
        if by_edges is not None and by_edges != by_content:
            found.append(self._name(by_edges))
        return found

    def _by_content(self) -> int | None:
        """Return the column where content peaks, if significantly above the stored boxes and all other kinds; or None.

        Edges must not be clearly for the stored boxes, and may replace a part of the significance.
        """
        mean = self.content.mean(axis=0)
        best = int(mean.argmax())
        if best == 0 or self.strength[best] < _SEEN_Z or mean[0] > _MAX_STORED_SHARE * mean[best]:
            return None
        if best in SCALED and abs(self._scale(best) - 1) < self._min_scale_error:
            return None
        others = np.flatnonzero(_KINDS[best] != _KINDS)
        if z_over_scenes(self.content[:, [best]] - self.content[:, others]).min() < _LEAD_Z:
            return None
        agree = self.edge[best] >= max(_AGREEING_EDGE_Z, _EDGE_LEAD * self.edge[0])
        against = self.edge[0] >= max(_EDGE_Z, _EDGE_LEAD * self.edge[best])
        enough = _GAIN_Z if agree else _GAIN_Z_ALONE
        return None if (against and best not in SCALED) or self.gain[best] < enough else best

    def _by_edges(self) -> int | None:
        """Return the reading that moves boxes far and that edges alone decide for, content not being against it."""
        i = max(_FAR, key=lambda column: self.edge[column])
        enough = max(_EDGE_Z_ALONE, _EDGE_RATIO * self.edge[0], self.edge[0] + _EDGE_GAIN)
        return i if self.edge[i] >= enough and self.gain[i] > 0 else None

    @property
    def _min_scale_error(self) -> float:
        """Return the smallest error of scale that can be named: 3%, or one pixel of the features at mid-image."""
        return max(_MIN_SCALE_ERROR, _FEATURE_PIXELS / float(np.median(self.scenes.sides)))

    def _name(self, column: int) -> str:
        """Return the name of a reading: of a scale, its factor at the peak, or the column's where the peak is at 1."""
        if column not in SCALED or f"{(scale := self._scale(column)):.3g}" == "1":
            return READING_NAMES[column]
        return scaled_by(scale)

    def _scale(self, column: int) -> float:
        """Return the factor at the maximum of a parabola through the content at a scale and its neighbours."""
        factors = np.array([*FACTORS, 1.0])
        order = np.argsort(factors)
        columns = np.array([*SCALED, 0])[order]
        place = int(np.flatnonzero(columns == column)[0])
        middle = int(np.clip(place, 1, len(columns) - 2))
        around = slice(middle - 1, middle + 2)
        at, mean = np.log(factors[order][around]), self.content.mean(axis=0)[columns[around]]
        a, b, _ = np.polyfit(at - at[1], mean, 2)
        top = at[1] - b / (2 * a) if a < 0 else np.log(factors[order][place])
        return float(np.exp(np.clip(top, at[0], at[2])))

    def sure_scale(self) -> float | None:
        """Return the scale at which content is significantly stronger than in the stored boxes, or None.

        The factors of the known grids lie between two columns, and count where the peak lies at one of them.
        """
        best = int(self.content[:, [0, *SCALED]].mean(axis=0).argmax())
        column = SCALED[best - 1] if best else 0
        scale = self._scale(column)
        if "/" in scaled_by(scale) and self._min_scale_error <= _MIN_SCALE_ERROR and self.strength[column] >= _EDGE_Z:
            return scale
        certain = column and self.gain[column] >= _GAIN_Z_ALONE and abs(scale - 1) >= self._min_scale_error
        return scale if certain else None

    def is_stored_on_objects(self) -> bool:
        """Return whether the stored boxes significantly lie on objects, by their edges or by their content."""
        return bool(self.strength[0] >= _EDGE_Z or self.edge[0] >= _EDGE_Z)

    def fits(self) -> bool:
        """Return whether the stored boxes are significantly right in position, centre and scale."""
        mean, far = self.content.mean(axis=0), list(_FAR)
        if self.strength[0] < _SEEN_Z or mean.argmax() != 0:
            return False
        if mean[far].max() > _RIVAL_SHARE * mean[0] or self.edge[far].max() > max(_EDGE_Z, self.edge[0]):
            return False
        close = [i for i, factor in zip(SCALED, FACTORS, strict=True) if abs(factor - 1) < _CLOSE_SCALE]
        apart = [i for i in range(1, len(READING_NAMES)) if i not in close]
        centred = abs(self._scale(0) - 1) < _MIN_SCALE_ERROR
        return bool(centred and self.gain[apart].max() <= _AGAINST_Z and self.gain[close].max() <= _AGAINST_Z / 2)

    def mixed_with(self) -> str | None:
        """Return a reading that holds the content on some of the scenes, where the stored boxes hold it on others."""
        mean = self.content.mean(axis=0)
        best = max(_APART, key=lambda i: mean[i])
        rivals = max(mean[i] for i in _APART if i != best)
        together = float(z_over_scenes(self.content[:, [0]] + self.content[:, [best]])[0])
        if min(self.strength[0], self.strength[best]) < _MIXED_Z or together < _MIXED_Z_TOGETHER:
            return None
        if mean[best] < 2 * rivals:
            return None
        low, high = sorted((float(mean[0]), float(mean[best])))
        if low < _MIXED_RATIO * high or mean.max() > _MIXED_LEAD * high:
            return None  # one reading is right for all
        usual = float(np.median(self.content[:, [0, best]].max(axis=1)))
        ahead = self.content[:, best] - self.content[:, 0]
        enough = max(_MIXED_MIN_SCENES, _MIXED_SHARE * len(self.scenes))
        both = min(int((ahead > usual / 2).sum()), int((ahead < -usual / 2).sum()))
        return READING_NAMES[best] if both >= enough else None

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
        """Return (n,) the gain of a reading over the stored boxes, in the kind of evidence that is for it."""
        i = column_of(name)
        gain: Floats = self.content[:, i] - self.content[:, 0]
        return gain if gain.mean() > 0 else np.abs(self._ridge(i)) - np.abs(self._ridge(0))

    def _ridge(self, i: int) -> Floats:
        return _largest_ridge(self.scenes.edges[:, i])

    def decision(self, answer: Answer, name: str | None = None, mixed_with: str | None = None) -> Decision:
        """Return the answer with the evidence for every reading, the named one first."""
        readings = [
            Evidence(reading, float(self._ridge(i).mean()), float(self.edge[i]), float(self.gain[i]))
            for i, reading in enumerate(READING_NAMES)
        ]
        best = max(SCALED, key=lambda column: self.content[:, column].mean())
        scaled = name if name is not None and column_of(name) in SCALED else self._name(best)
        kept = [readings[i] for i in range(1, SCALED[0])]
        kept.append(readings[column_of(scaled)]._replace(transform=scaled))
        others = sorted(kept, key=lambda one: (one.transform != name, -one.gain))
        return Decision(answer, (readings[0], *others), len(self.scenes), mixed_with)


def column_of(name: str) -> int:
    """Return the column of a reading; of a scale the nearest."""
    if name in READING_NAMES:
        return READING_NAMES.index(name)
    factor = scale_factor(name)
    return SCALED[int(np.abs(np.array(FACTORS) - factor).argmin())]


def _largest_ridge(ridges: Floats) -> Floats:
    """Return (n,) the ridge of (n, margins) at the margin of largest |z|, signed so that its mean is positive."""
    z = z_over_scenes(ridges)
    margin = int(np.abs(z).argmax())
    ridge: Floats = ridges[:, margin] * (np.sign(z[margin]) or 1.0)
    return ridge


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

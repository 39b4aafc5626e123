"""Days of six cameras with two simulated models, minute by minute, through the code that judges real ones."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter

from liftgate.deploy.shadow.pairs import CameraMinutes
from liftgate.deploy.shadow.request import ShadowRequest
from liftgate.deploy.shadow.settle import ShadowFinding, find

MINUTES, CAMERAS = 1440, 6


@dataclass(frozen=True)
class Scene:
    """What a day is like.

    Both models find 95 to 97% of what either does; which of them misses more depends on the scene, which drifts with
    the correlation time `tau` (minutes) and shows in the brightness. Over time they are equal.
    """

    tau: float
    per_second: float = 0.05
    """New objects of a camera"""
    disagreement: float = 0.06
    swing: float = 0.5
    """Largest share by which the scene shifts the disagreements to one model"""


def drift(random: np.random.Generator, tau: float) -> NDArray[np.float64]:
    if tau == 0:
        return np.zeros((CAMERAS, MINUTES))
    keep = np.exp(-1 / tau)
    noise = random.normal(size=(CAMERAS, MINUTES)) * np.sqrt(1 - keep**2)
    noise[:, 0] = random.normal(size=CAMERAS)
    found: NDArray[np.float64] = lfilter([1], [1, -keep], noise, axis=1)
    return found


def day(random: np.random.Generator, scene: Scene, lost: float = 0.0) -> list[CameraMinutes]:
    """Return one day; with `lost` the challenger misses so many more of the first camera's objects."""
    state = drift(random, scene.tau)
    shift = np.tanh(state) * scene.swing
    objects = random.poisson(scene.per_second * 60, (CAMERAS, MINUTES))
    champion = random.binomial(objects, scene.disagreement / 2 * (1 + shift)).astype(float)
    challenger = random.binomial(objects, scene.disagreement / 2 * (1 - shift)).astype(float)
    champion[0] += random.binomial(objects[0], lost)
    brightness = 120 + 20 * state + random.normal(0, 20, state.shape)
    return [
        CameraMinutes(
            f"camera{n}", np.full(MINUTES, 240.0), np.maximum(objects[n] - champion[n] - challenger[n], 0.0),
            champion[n], challenger[n], brightness[n],
        )
        for n in range(CAMERAS)
    ]  # fmt: skip


def findings(scene: Scene, days: int, *, lost: float = 0.0, seed: int = 0) -> list[ShadowFinding]:
    """Return what each of so many days says at its end; looks in between are part of it, as the largest e counts."""
    random = np.random.default_rng(seed)
    request = ShadowRequest("v0.1", "models", 0.0)
    return [find(day(random, scene, lost), request) for _ in range(days)]

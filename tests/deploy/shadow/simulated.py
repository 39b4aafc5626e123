"""Days of six cameras with two simulated models, minute by minute, through the code that judges real ones."""

from __future__ import annotations

from collections.abc import Iterator
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
    kind: str = "drifting"
    """Or "switching", "regimes": other generators, see `switching_day` and `regime_day`"""
    cycle: bool = False
    """Of a switching scene: traffic and light follow the hour, and with them which model misses more"""


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


def switching_day(random: np.random.Generator, scene: Scene, lost: float = 0.0) -> list[CameraMinutes]:
    """Return one day of another kind, on which nothing was tuned.

    The scene does not drift but switches between two states, half of the time the same ones for all cameras (sun and
    cloud). Objects come in bursts and stay for three minutes on average, and an object that one model misses is missed
    as long as it stays. The brightness shows the state under noise.
    """
    clock = 2 * np.pi * (np.arange(MINUTES) / MINUTES + random.uniform())
    if scene.tau == 0:
        state = np.zeros((CAMERAS, MINUTES))
    else:
        flips = random.random((CAMERAS + 1, MINUTES)) < -np.expm1(-1 / scene.tau) / 2
        states = np.where(np.cumsum(flips, axis=1) + random.integers(0, 2, (CAMERAS + 1, 1)) & 1, 1.0, -1.0)
        state = np.where(random.random((CAMERAS, 1)) < 0.5, states[:1], states[1:])
    burst = np.exp(0.8 * drift(random, 8.0) - 0.32)
    if scene.cycle:
        state, burst = state * 0.5 + np.sin(clock), burst * (1 + 0.9 * np.sin(clock))
    shift = np.clip(state, -1, 1) * scene.swing
    arrivals = random.poisson(scene.per_second * 60 * burst)
    missed = random.binomial(arrivals, scene.disagreement / 2 * (1 + shift))
    challenger = random.binomial(arrivals, scene.disagreement / 2 * (1 - shift))
    missed[0] += random.binomial(arrivals[0], lost)
    rest = np.maximum(arrivals - missed - challenger, 0)
    present = [np.array([_present(random, row) for row in rows]) for rows in (rest, missed, challenger)]
    brightness = 120 + 15 * state + random.normal(0, 20, state.shape)
    return [
        CameraMinutes(f"camera{n}", np.full(MINUTES, 240.0), *(rows[n] for rows in present), brightness[n])
        for n in range(CAMERAS)
    ]


def regime_day(random: np.random.Generator, scene: Scene, lost: float = 0.0) -> list[CameraMinutes]:
    """Return one day of a third kind, which was first run when every setting of the rule was fixed.

    Regimes last as long as a gamma distribution says, not an exponential one. They are lopsided: in a fifth of the time
    one model misses much more, in the rest the other misses a little more; over time they are equal. Cameras have
    between a third and three times of the objects, which come in clusters (negative binomial).
    """
    if scene.tau == 0:
        state = np.zeros((CAMERAS, MINUTES))
    else:
        state = np.array([_regimes(random, scene.tau) for _ in range(CAMERAS)])
    shift = state * scene.swing * random.choice([-1.0, 1.0])
    rate = scene.per_second * 60 * np.exp(random.uniform(-1.1, 1.1, (CAMERAS, 1)))
    rate[0] = scene.per_second * 60
    objects = random.poisson(random.gamma(2.0, rate / 2, (CAMERAS, MINUTES)))
    champion = random.binomial(objects, scene.disagreement / 2 * (1 + shift)).astype(float)
    challenger = random.binomial(objects, scene.disagreement / 2 * (1 - shift)).astype(float)
    champion[0] += random.binomial(objects[0], lost)
    agreed = np.maximum(objects - champion - challenger, 0).astype(float)
    brightness = 110 + 12 * state + random.normal(0, 15, state.shape)
    return [
        CameraMinutes(f"camera{n}", np.full(MINUTES, 240.0), agreed[n], champion[n], challenger[n], brightness[n])
        for n in range(CAMERAS)
    ]


def _regimes(random: np.random.Generator, tau: float) -> NDArray[np.float64]:
    """Return 1.6 for a fifth of the time and −0.4 for the rest, in turns that are correlated over about `tau`."""
    high, low = 1.25 * tau, 5.0 * tau  # mean lengths; a two-state process forgets at the sum of the two rates
    lengths = random.gamma(2.0, np.where(np.arange(2 * MINUTES) % 2 == 0, high, low) / 2)
    ends = np.cumsum(np.maximum(lengths, 0.5)) - random.uniform(0, high + low)
    turn = np.searchsorted(ends, np.arange(MINUTES), side="right")
    return np.where(turn % 2 == 0, 1.6, -0.4)


_STAY = 3.0
"""Minutes that an object of a switching day is seen"""


def _present(random: np.random.Generator, arrivals: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return how many objects are there in each minute, each for a geometric number of minutes."""
    came = np.repeat(np.arange(len(arrivals)), arrivals)
    left = came + random.geometric(1 / _STAY, len(came))
    change = np.bincount(came, minlength=MINUTES)[:MINUTES] - np.bincount(left, minlength=MINUTES)[:MINUTES]
    return np.cumsum(change).astype(np.float64)


def days_of(scene: Scene, days: int, *, lost: float = 0.0, seed: int = 0) -> Iterator[list[CameraMinutes]]:
    """Yield so many days.

    Args:
        scene: what the days are like.
        days: how many.
        lost: part of the first camera's objects that the challenger alone misses.
        seed: of the days.
    """
    random = np.random.default_rng(seed)
    one_day = {"drifting": day, "switching": switching_day, "regimes": regime_day}[scene.kind]
    for _ in range(days):
        yield one_day(random, scene, lost)


def findings(scene: Scene, days: int, *, lost: float = 0.0, seed: int = 0) -> list[ShadowFinding]:
    """Return what each of so many days says at its end."""
    return [looked_at(one) for one in days_of(scene, days, lost=lost, seed=seed)]


def until(minutes: list[CameraMinutes], end: int) -> list[CameraMinutes]:
    """Return the first minutes of a day."""
    return [
        CameraMinutes(
            one.camera, one.images[:end], one.agreed[:end], one.champion_only[:end], one.challenger_only[:end],
            one.brightness[:end],
        )
        for one in minutes
    ]  # fmt: skip


def looked_at(minutes: list[CameraMinutes], every: int = MINUTES) -> ShadowFinding:
    """Return the first look that says "different", else the last one; `every`: minutes between looks."""
    request = ShadowRequest("v0.1", "models", 0.0)
    for end in range(every, MINUTES + 1, every):
        found = find(until(minutes, end), request, is_over=end == MINUTES)
        if found.answer == "different":
            break
    return found

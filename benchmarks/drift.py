"""How often `liftgate drift` says that something moved where nothing did, and how often it sees what did.

Days of six cameras and five statistics: half of the variance is the cameras' own, half is shared by all; days follow
each other with the correlation given. The rule is that of the verb: correlation estimated from the days, Holm over
all 30 rows.

python benchmarks/drift.py --months 1000
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from liftgate.deploy.production.day_table import STATISTICS, DayTable
from liftgate.deploy.production.drift import find_drift
from liftgate.stats.rates import wilson

CAMERAS = 6


@dataclass(frozen=True)
class Months:
    """What two periods are like."""

    correlation: float
    before: int = 28
    """Days"""
    after: int = 28
    shift: float = 0.0
    """Of the first statistic of the first camera, in standard deviations of a day"""


def days(random: np.random.Generator, correlation: float, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Return days with variance 1 that follow each other."""
    values = random.normal(size=shape)
    for day in range(1, shape[-1]):
        fresh = np.sqrt(1 - correlation**2) * values[..., day]
        values[..., day] = correlation * values[..., day - 1] + fresh
    return values


def answers(months: Months, count: int, seed: int) -> tuple[int, int, float]:
    """Return how many months have an alarm, how many see the shift, and the share of rows that cannot tell."""
    random, alarms, seen, unclear = np.random.default_rng(seed), 0, 0, 0.0
    length = months.before + months.after
    for _ in range(count):
        own = days(random, months.correlation, (len(STATISTICS), CAMERAS, length))
        shared = days(random, months.correlation, (len(STATISTICS), 1, length))
        values = (own + shared) * np.sqrt(0.5)
        values[0, 0, months.before :] += months.shift
        tables = DayTable(), DayTable()
        for s, statistic in enumerate(STATISTICS):
            for camera in range(CAMERAS):
                for day in range(length):
                    tables[day >= months.before].add(f"camera{camera}", day, statistic, float(values[s, camera, day]))
        found = find_drift(*tables, "the month before")
        moved = [(row.statistic, row.camera) for row in found.rows if row.word == "drift"]
        planted = months.shift > 0 and (STATISTICS[0], "camera0") in moved
        alarms += bool(moved) if not months.shift else len(moved) > planted
        seen += planted
        unclear += 1 - found.n_tested / len(found.rows)
    return alarms, seen, unclear / count


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--months", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    print(f"{args.months} pairs of months a row, seed {args.seed}; alarm: any of 30 rows that did not move; 95% Wilson")
    print(f"{'days':>7} {'correlation':>11} {'shift':>5} {'alarm':>6} {'interval':>13} {'seen':>5} {'cannot tell':>11}")
    begun = time.process_time()
    rows = [Months(c, b, a) for c in (0.0, 0.3, 0.6, 0.8) for b, a in ((28, 28), (28, 7), (14, 14))]
    rows += [Months(c, shift=s) for c in (0.0, 0.3, 0.6) for s in (1.0, 2.0, 3.0)]
    for one in rows:
        alarms, seen, unclear = answers(one, args.months, args.seed)
        low, high = wilson(alarms, args.months)
        power = f"{seen / args.months:.2f}" if one.shift else "–"
        print(f"{one.before:3d}/{one.after:<3d} {one.correlation:11.1f} {one.shift:5.1f} {alarms / args.months:6.3f} "
              f"{low:6.3f}–{high:.3f} {power:>5} {unclear:11.2f}", flush=True)  # fmt: skip
    print(f"{time.process_time() - begun:.0f} CPU s", flush=True)


if __name__ == "__main__":
    main()

"""How often a shadow test says "different" of two models that are equal, sees one that is not, and cannot tell.

Days of three generators: "drifting" scenes and "switching" ones (bursts of objects that stay for minutes, states shared
by cameras; "hours": light and traffic follow the time of day), on both of which the rule was chosen, with other seeds;
"regimes" (lopsided, of lengths that are not exponential, clustered objects), which no setting was chosen on.

PYTHONPATH=tests python benchmarks/shadow.py --days 1000 --power-days 300 >> benchmarks/shadow.txt
"""

from __future__ import annotations

import argparse
import statistics
import time
from statistics import NormalDist

from deploy.shadow.simulated import CAMERAS, MINUTES, Scene, days_of, looked_at
from liftgate.deploy.shadow.settle import ShadowFinding
from liftgate.stats.rates import wilson

RATE = 0.1
"""New objects a second and camera"""


def scenes() -> list[tuple[str, Scene]]:
    """Return the conditions with their names."""
    found = [("drifting", Scene(tau, rate)) for tau in (0.0, 5.0, 15.0, 30.0, 60.0) for rate in (0.05, RATE)]
    for kind in ("switching", "regimes"):
        found += [(kind, Scene(tau, RATE, kind=kind)) for tau in (0.0, 5.0, 15.0, 30.0, 60.0)]
    return [*found, ("hours", Scene(15.0, RATE, kind="switching", cycle=True))]


def days(scene: Scene, count: int, seed: int, every: int, lost: float = 0.0) -> tuple[list[ShadowFinding], list[float]]:
    """Return what days say, and the difference of the first camera over each day."""
    found, totals = [], []
    for minutes in days_of(scene, count, lost=lost, seed=seed):
        found.append(looked_at(minutes, every))
        totals.append(float(minutes[0].difference.sum()))
    return found, totals


def bound(equal: list[float], unequal: list[float]) -> float:
    """Return the power of one z test of each camera at the day's end (5%, Bonferroni) that knows the variance."""
    normal = NormalDist()
    shift, bar = statistics.mean(unequal) / statistics.stdev(equal), -normal.inv_cdf(0.05 / CAMERAS / 2)
    return normal.cdf(shift - bar) + normal.cdf(-shift - bar)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--days", type=int, default=1000)
    parser.add_argument("--power-days", type=int, default=300)
    parser.add_argument("--every", type=int, default=MINUTES, help="minutes between looks (default: one at the end)")
    parser.add_argument("--only", action="append", help="rows of this kind, or KIND:TAU; repeatable")
    parser.add_argument("--seed", type=int, default=20261130)
    args = parser.parse_args()
    print(f"six cameras, 24 hours, {args.days} days a row ({args.power_days} for power), seed {args.seed}, "
          f"a look every {args.every} minutes; 95% Wilson")  # fmt: skip
    print("tau: minutes that a scene stays correlated; false: two equal models called different; power: 3 points of")
    print("recall lost on one camera of six called different; bound: power of a z test at the end that knows the")
    print("variance; early: called different before the end; said: chance of that, said after the warm-up, mean;")
    print("days: needed for 80%, said, median; cannot: equal days that cannot tell; unsaid: unequal days that end")
    print("neither different nor with cannot tell; block: median minutes")
    print(f"{'scene':>9} {'tau':>4} {'objects/s':>9} {'false':>6} {'interval':>13} {'power':>6} {'interval':>11} "
          f"{'bound':>5} {'early':>5} {'said':>5} {'days':>4} {'cannot':>6} {'unsaid':>6} {'block':>5}")  # fmt: skip
    begun = time.process_time()
    for name, scene in scenes():
        if args.only and name not in args.only and f"{name}:{scene.tau:g}" not in args.only:
            continue
        equal, without = days(scene, args.days, args.seed, args.every)
        unequal, with_loss = days(scene, args.power_days, args.seed + 1, args.every, lost=0.03)
        false = sum(one.answer == "different" for one in equal)
        seen = [one for one in unequal if one.answer == "different"]
        early = sum(one.e_value >= one.bar for one in seen) / args.power_days
        unsaid = sum(one.answer == "not settled" for one in unequal) / args.power_days
        low, high = wilson(false, args.days)
        low2, high2 = wilson(len(seen), args.power_days)
        said = statistics.mean(one.chance or 0.0 for one in unequal)
        needed = statistics.median(one.days_needed or 366 for one in unequal)
        blocks = statistics.median(one.block_minutes for one in equal)
        cannot = sum(one.answer == "cannot tell" for one in equal) / args.days
        print(f"{name:>9} {scene.tau:4.0f} {scene.per_second:9.2f} {false / args.days:6.3f} {low:6.3f}–{high:.3f} "
              f"{len(seen) / args.power_days:6.2f} {low2:6.2f}–{high2:.2f} {bound(without, with_loss):5.2f} "
              f"{early:5.2f} {said:5.2f} {needed:4.0f} {cannot:6.2f} {unsaid:6.2f} {blocks:5.0f}",
              flush=True)  # fmt: skip
    print(f"{time.process_time() - begun:.0f} CPU s", flush=True)


if __name__ == "__main__":
    main()

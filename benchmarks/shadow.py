"""How often a shadow test says "different" of two models that are equal, sees one that is not, and cannot tell.

Days of three generators: "drifting" scenes, on which the rule was chosen; "switching" ones (bursts of objects that stay
for minutes, states shared by cameras; "hours": light and traffic follow the time of day); "regimes" (lopsided, of
lengths that are not exponential, clustered objects), which were first run when every setting of the rule was fixed.

PYTHONPATH=tests python benchmarks/shadow.py --days 1000 --power-days 300 >> benchmarks/shadow.txt
"""

from __future__ import annotations

import argparse
import statistics
import time

from deploy.shadow.simulated import Scene, findings
from liftgate.stats.rates import wilson

RATE = 0.1
"""New objects a second and camera"""


def scenes() -> list[tuple[str, Scene]]:
    """Return the conditions with their names."""
    found = [("drifting", Scene(tau, rate)) for tau in (0.0, 5.0, 15.0, 30.0, 60.0) for rate in (0.05, RATE)]
    for kind in ("switching", "regimes"):
        found += [(kind, Scene(tau, RATE, kind=kind)) for tau in (0.0, 5.0, 15.0, 30.0, 60.0)]
    return [*found, ("hours", Scene(15.0, RATE, kind="switching", cycle=True))]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--days", type=int, default=1000)
    parser.add_argument("--power-days", type=int, default=300)
    parser.add_argument("--seed", type=int, default=20261129)
    args = parser.parse_args()
    print(f"six cameras, 24 hours, {args.days} days a row ({args.power_days} for power), seed {args.seed}; 95% Wilson")
    print("tau: minutes that a scene stays correlated; false: two equal models called different; power: 3 points of")
    print("recall lost on one camera of six called different; said: chance of that, said after the warm-up, mean;")
    print("days: needed for 80%, said, median; hours: median until settled; cannot: equal days that cannot tell;")
    print("unsaid: unequal days that end neither different nor with cannot tell; block: median minutes")
    print(f"{'scene':>9} {'tau':>4} {'objects/s':>9} {'false':>6} {'interval':>13} {'power':>6} {'interval':>11} "
          f"{'said':>5} {'days':>4} {'hours':>5} {'cannot':>6} {'unsaid':>6} {'block':>5}")  # fmt: skip
    begun = time.process_time()
    for name, scene in scenes():
        equal = findings(scene, args.days, seed=args.seed)
        unequal = findings(scene, args.power_days, lost=0.03, seed=args.seed + 1)
        false = sum(one.answer == "different" for one in equal)
        seen = sorted(one.settled_after_minutes for one in unequal if one.settled_after_minutes is not None)
        unsaid = sum(one.answer == "not settled" for one in unequal) / args.power_days
        low, high = wilson(false, args.days)
        low2, high2 = wilson(len(seen), args.power_days)
        hours = f"{seen[len(seen) // 2] / 60:.1f}" if seen else "–"
        said = statistics.mean(one.chance or 0.0 for one in unequal)
        days = statistics.median(one.days_needed or 366 for one in unequal)
        blocks = statistics.median(one.block_minutes for one in equal)
        cannot = sum(one.answer == "cannot tell" for one in equal) / args.days
        print(f"{name:>9} {scene.tau:4.0f} {scene.per_second:9.2f} {false / args.days:6.3f} {low:6.3f}–{high:.3f} "
              f"{len(seen) / args.power_days:6.2f} {low2:6.2f}–{high2:.2f} {said:5.2f} {days:4.0f} {hours:>5} "
              f"{cannot:6.2f} {unsaid:6.2f} {blocks:5.0f}", flush=True)  # fmt: skip
    print(f"{time.process_time() - begun:.0f} CPU s", flush=True)


if __name__ == "__main__":
    main()

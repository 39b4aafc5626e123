"""How often a shadow test says "different" of two models that are equal, sees one that is not, and cannot tell.

PYTHONPATH=tests python benchmarks/shadow.py --days 1000
"""

from __future__ import annotations

import argparse
import time

from deploy.shadow.simulated import Scene, findings
from liftgate.stats.rates import wilson


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--days", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    print(f"six cameras, 24 hours, {args.days} days a row, seed {args.seed}; 95% intervals (Wilson) over days")
    print("tau: minutes that a scene stays correlated; false: two equal models called different; power: 3 points of")
    print("recall lost on one camera of six called different; median: hours until then")
    print(f"{'tau':>4} {'objects/s':>9} {'false':>6} {'interval':>15} {'power':>6} {'interval':>15} {'median':>6} "
          f"{'cannot tell':>11} {'block':>5}")  # fmt: skip
    begun = time.process_time()
    for tau in (0.0, 5.0, 15.0, 30.0, 60.0):
        for rate in (0.02, 0.05, 0.1):
            equal = findings(Scene(tau, rate), args.days, seed=args.seed)
            unequal = findings(Scene(tau, rate), args.days, lost=0.03, seed=args.seed + 1)
            false = sum(one.answer == "different" for one in equal)
            seen = [one.settled_after_minutes for one in unequal if one.settled_after_minutes is not None]
            cannot = sum(one.answer == "cannot tell" for one in equal) / args.days
            blocks = sorted(one.block_minutes for one in equal)
            low, high = wilson(false, args.days)
            low2, high2 = wilson(len(seen), args.days)
            hours = f"{sorted(seen)[len(seen) // 2] / 60:.1f}" if seen else "–"
            print(f"{tau:4.0f} {rate:9.2f} {false / args.days:6.3f} {low:7.3f}–{high:.3f} "
                  f"{len(seen) / args.days:8.2f} {low2:8.2f}–{high2:.2f} {hours:>8} {cannot:11.2f} "
                  f"{blocks[len(blocks) // 2]:5d}", flush=True)  # fmt: skip
    print(f"{time.process_time() - begun:.0f} CPU s")


if __name__ == "__main__":
    main()

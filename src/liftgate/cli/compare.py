"""liftgate compare: the paired verdict on two detectors' predictions."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

import liftgate
from liftgate.cli.evaluate import PREDICTIONS, add_common, add_measuring
from liftgate.cli.output import add_json, emit_json, progress
from liftgate.errors import EXIT_CODES

if TYPE_CHECKING:
    from liftgate.measure.records import Comparison


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--truth", required=True, type=Path, help="COCO JSON, data.yaml or VOC folder")
    parser.add_argument("--control", required=True, type=Path, help=f"{PREDICTIONS}, of the old model")
    parser.add_argument("--treatment", required=True, type=Path, help="the same, of the new model")
    parser.add_argument("--metric", default="mAP50-95", help="what to compare (default: %(default)s)")
    parser.add_argument("--margin", type=float, default=0.0, help="how much better is worth it (default: %(default)s)")
    parser.add_argument("--rule", choices=("interval", "point"), default="interval", help="default: %(default)s")
    add_common(parser)
    add_measuring(parser)
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    with progress() as bar:
        comparison = liftgate.compare(
            args.truth,
            args.control,
            args.treatment,
            metric=args.metric,
            margin=args.margin,
            rule=args.rule,
            groups=args.groups,
            split=args.split,
            images=args.images,
            level=args.level,
            conf=args.conf,
            sigmas=args.sigmas,
            common=args.common,
            progress=bar,
        )
    if args.json:
        emit_json(comparison.to_dict())
    else:
        print(text(comparison))
    return EXIT_CODES[comparison.verdict]


def text(comparison: Comparison) -> str:
    """The verdict, its numbers, and what limits it."""
    delta = comparison.delta
    bounds = f"[{delta.low:+.4f}, {delta.high:+.4f}]" if delta.established else "not established"
    lines = [
        f"{comparison.verdict}: {comparison.reason}",
        "",
        f"{comparison.metric:<16} control {_value(comparison.control)}, treatment {_value(comparison.treatment)}, "
        f"difference {delta.estimate:+.4f} {bounds}",
        f"{'':<16} paired: {delta.basis}"
        + (f", design effect {delta.design_effect:.2f}" if delta.design_effect is not None else ""),
    ]
    moved = [(name, row) for name, row in comparison.per_class.items() if row["delta"]]
    moved.sort(key=lambda pair: -abs(pair[1]["delta"] or 0))
    if moved:
        lines += ["", f"{'class':<24} {'control':>8} {'treatment':>9} {'change':>8}  p (Holm)"]
    for name, row in moved[:10]:
        p = "–" if row["p_holm"] is None else f"{row['p_holm']:.3f}"
        change = row["delta"] or 0.0
        lines.append(f"{name:<24} {_value(row['control']):>8} {_value(row['treatment']):>9} {change:>+8.4f}  {p}")
    if comparison.differences:
        lines += ["", "confounded, the two also differ in:", *(f"  {line}" for line in comparison.differences)]
    notes = [*comparison.caveats, *([delta.note] if delta.note else [])]
    return "\n".join([*lines, *(f"note: {note}" for note in notes)])


def _value(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"

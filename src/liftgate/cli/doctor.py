"""`liftgate doctor`: what went wrong in any Ultralytics run, with the evidence."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from liftgate.cli.output import add_json, emit_json, say, show

if TYPE_CHECKING:
    from liftgate.diagnosis import Diagnosis


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `liftgate doctor`."""
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="run folder, or its results.csv")
    parser.add_argument(
        "--predictions", type=Path, help="of the run's model: classes that it never finds are named too"
    )
    parser.add_argument("--truth", type=Path, help="what was predicted on: data.yaml, COCO JSON or VOC folder")
    parser.add_argument("--split", help="of the truth; default: val where it has one")
    parser.add_argument(
        "--forecast", nargs="?", type=int, const=0, metavar="EPOCH",
        help="where the metrics will be after EPOCH (default: the last one that args.yaml plans)",
    )  # fmt: skip
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Run `liftgate doctor` and return its exit code."""
    from liftgate.diagnosis import diagnose
    from liftgate.diagnosis.forecast import forecast_run

    diagnoses = diagnose(args.runs, truth=args.truth, predictions=args.predictions, split=args.split)
    values = [diagnosis.to_dict() for diagnosis in diagnoses] if args.json else []
    for number, diagnosis in enumerate(diagnoses):
        if not args.json:
            show(*_lines(diagnosis))  # first: a run of which nothing can be forecast has findings all the more
        if args.forecast is not None:
            found = forecast_run(args.runs[number], args.forecast or None)
            if args.json:
                values[number]["forecast"] = [one.to_dict() for one in found]
            else:
                show(*(f"  forecast  {one.text}" for one in found))
    if args.json:
        emit_json(values[0] if len(values) == 1 else {"runs": values})
    severities = {finding.severity for diagnosis in diagnoses for finding in diagnosis.findings}
    if not severities and not args.json:
        say("nothing that this trace can show is wrong; what it cannot show: leakage between splits, wrong labels")
    return 3 if "error" in severities else 0


def _lines(diagnosis: Diagnosis) -> list[str]:
    best = f", best epoch {diagnosis.best_epoch}" if diagnosis.best_epoch else ""
    lines = [f"{diagnosis.source}: {diagnosis.epochs} epochs{best}"]
    for finding in diagnosis.findings:
        lines.append(f"  {finding.severity}  {finding.id}  {finding.message}")
        if finding.data.get("curve"):
            lines.append(f"      {finding.data['curve']}")
        for cause in finding.data.get("causes", [finding.hint]):
            lines.append(f"      · {cause}")
        change = finding.data.get("experiment")
        if change:
            words = ", ".join(f"{name}: {value}" for name, value in change.items())
            lines.append(f"      next experiment, one change: {{{words}}}")
    return lines

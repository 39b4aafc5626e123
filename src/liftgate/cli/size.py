"""`liftgate size`: how many images and groups a claim needs, and what the available ones can show."""

from __future__ import annotations

import argparse
import textwrap
from pathlib import Path

from liftgate.cli.measurement_options import PREDICTIONS, add_measuring, measuring
from liftgate.cli.output import add_json, add_open_anyway, emit_json, progress, show


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `liftgate size`."""
    claims = parser.add_subparsers(dest="claim", metavar="CLAIM", required=True)

    rate = claims.add_parser("rate", help="a rate (such as recall) is at least so much")
    rate.add_argument("--at-least", type=float, required=True, help="the claim: 0.95")
    rate.add_argument("--true", type=float, required=True, help="what it really is, as you hope: 0.98")
    _add_plan(rate)

    difference = claims.add_parser("difference", help="two rates differ, each measured on its own images")
    difference.add_argument("first", type=float)
    difference.add_argument("second", type=float)
    _add_plan(difference)

    models = claims.add_parser("models", help="two models differ on the same images, planned from a pilot")
    models.add_argument("--truth", required=True, type=Path, help="COCO JSON, data.yaml or VOC folder")
    models.add_argument("--control", required=True, type=Path, help=f"{PREDICTIONS}, of the old model")
    models.add_argument("--treatment", required=True, type=Path, help="the same, of the new model")
    models.add_argument("--metric", default="mAP50-95", help="default: %(default)s")
    models.add_argument("--margin", type=float, default=0.0, help="default: %(default)s")
    models.add_argument("--difference", type=float, required=True, help="the difference you hope for")
    models.add_argument("--power", type=float, default=0.8, help="chance of success (default: %(default)s)")
    add_measuring(models)
    add_open_anyway(models)
    add_json(models)

    kappa = claims.add_parser("kappa", help="two annotators' agreement is known well enough")
    kappa.add_argument("--kappa", type=float, required=True, help="the kappa that you expect: 0.85")
    kappa.add_argument("--half-width", type=float, default=0.1, help="known to within ± this (default: %(default)s)")
    kappa.add_argument("--prevalence", type=float, default=0.5, help="share of positives (default: %(default)s)")
    kappa.add_argument("--level", type=float, default=0.95, help="default: %(default)s")
    kappa.add_argument("--have", type=int, help="items at hand: what do they show?")
    add_json(kappa)

    seeds = claims.add_parser("seeds", help="one recipe is better than another, over repeated trainings")
    seeds.add_argument(
        "--probability", type=float, default=0.75, help="share of pairs of runs that it wins (%(default)s)"
    )
    seeds.add_argument("--have", type=int, help="seeds of each recipe at hand: what do they show?")
    add_json(seeds)


def _add_plan(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--per-group", type=float, default=1.0, help="images per video or other group")
    parser.add_argument("--icc", type=float, default=0.1, help="how alike images of a group are (default: %(default)s)")
    parser.add_argument("--level", type=float, default=0.95, help="default: %(default)s")
    parser.add_argument("--power", type=float, default=0.8, help="chance of success (default: %(default)s)")
    parser.add_argument("--have", type=int, help="images at hand: what do they show?")
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Run `liftgate size` and return its exit code."""
    from liftgate.services.sizes import size_difference, size_kappa, size_models, size_rate, size_seeds

    if args.claim == "models":
        with progress() as bar:
            answer = size_models(
                args.truth,
                args.control,
                args.treatment,
                args.difference,
                metric=args.metric,
                margin=args.margin,
                power=args.power,
                progress=bar,
                **measuring(args),
            )
    elif args.claim == "seeds":
        answer = size_seeds(args.probability, have=args.have)
    elif args.claim == "kappa":
        answer = size_kappa(args.kappa, args.half_width, prevalence=args.prevalence, level=args.level, have=args.have)
    else:
        question = size_rate if args.claim == "rate" else size_difference
        pair = (args.at_least, args.true) if args.claim == "rate" else (args.first, args.second)
        plan = {"level": args.level, "power": args.power, "have": args.have}
        answer = question(*pair, per_group=args.per_group, icc=args.icc, **plan)
    if args.json:
        emit_json(answer.to_dict())
    else:
        show(*textwrap.wrap(answer.text, 100), *(f"note: {note}" for note in answer.notes))
    return 0

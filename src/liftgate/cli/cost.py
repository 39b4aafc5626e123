"""`liftgate cost STUDY --prices prices.yaml`: what a study costs on machines to rent or to buy."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from liftgate.cli.output import add_json, add_overrides, emit_json, progress, say, show
from liftgate.progress import dollars

if TYPE_CHECKING:
    from liftgate.pipeline.planning.prices import BreakEven, Offer


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `liftgate cost`."""
    parser.add_argument("study", type=Path, help="study.yaml")
    parser.add_argument("--prices", type=Path, required=True, help="prices.yaml: machines to rent or to buy")
    parser.add_argument("--hours", type=float, help="hours of training, where they were never measured")
    parser.add_argument(
        "--allow-region",
        action="append",
        default=[],
        metavar="REGION",
        help="confidential data may be there (in addition to the file's allowed_regions); may be given again",
    )
    add_overrides(parser)
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Run `liftgate cost` and return its exit code."""
    from liftgate import api

    with progress() as bars:
        costs = api.cost(
            args.study,
            args.prices,
            hours=args.hours,
            allow_regions=args.allow_region,
            overrides=args.overrides,
            progress=bars,
        )
    if args.json:
        emit_json(costs.to_dict())
        return 0
    known = "unknown" if costs.hours is None else f"{costs.hours:.3g} hours"
    show(f"training of the whole study: {known} ({costs.basis})")
    show(f"spent so far: {costs.spent_hours:.3g} hours")
    width = max(len(offer.name) for offer in costs.offers)
    for offer in costs.offers:
        show(f"{offer.name:<{width}}  {offer.kind:<8} {_price(offer)}")
        if not offer.allowed:
            show(f"{'':<{width}}  not allowed: {offer.why_not}")
        for line in offer.break_even:
            show(f"{'':<{width}}  {_break_even(line)}")
    if costs.hours is None:
        say("hint: `liftgate plan --measure` trains one epoch to find out; --hours H sets it")
    return 0


def _price(offer: Offer) -> str:
    where = f", region {offer.region}" if offer.region else ""
    rate = "" if offer.usd_per_hour is None else f"${offer.usd_per_hour:,.2f} an hour, "
    once = f"${offer.usd_once:,.0f} once, " if offer.usd_once else ""
    study = "unknown" if offer.usd_per_study is None else dollars(offer.usd_per_study)
    return f"{once}{rate}{study} for this study{where}"


def _break_even(line: BreakEven) -> str:
    if line.hours is None:
        return f"never cheaper than {line.against}"
    runs = "" if line.runs is None else f", {line.runs:,.0f} studies like this one"
    return f"cheaper than {line.against} after {line.hours:,.0f} hours{runs}"

"""`liftgate data mix`: a training set from several, some seen more often; val and test never mixed.

liftgate data mix [NAME=]DATA … --repeat NAME=N (or --weight NAME=X) --held-out NAME --out DIR
"""

from __future__ import annotations

import argparse
from pathlib import Path

from liftgate.cli.data_merge import OUT, add_parts, print_emptied
from liftgate.cli.data_source import print_faults, print_losses, print_splits
from liftgate.cli.output import add_json, emit_json, progress, say, show
from liftgate.cli.parser import at_least
from liftgate.errors import UsageError


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `liftgate data mix`."""
    add_parts(parser)
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help=OUT)
    parser.add_argument(
        "--repeat",
        action="append",
        default=[],
        metavar="NAME=N",
        help="see this set's training images N times an epoch",
    )
    parser.add_argument(
        "--weight",
        action="append",
        default=[],
        metavar="NAME=X",
        help="instead, for every set: its share of an epoch; no image is left out",
    )
    parser.add_argument("--seed", type=at_least(0), default=0, help="which images --weight shows once more (default 0)")
    parser.add_argument("--held-out", metavar="NAME", help="whose val and test are kept; the others' are left out")
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Run `liftgate data mix` and return its exit code."""
    from liftgate.services.merge import mix

    with progress() as bar:
        done = mix(
            args.parts,
            args.out,
            repeats=dict(_repeat(text) for text in args.repeat),
            weights=dict(_weight(text) for text in args.weight),
            seed=args.seed,
            held_out=args.held_out,
            rules=args.rules,
            keep=args.keep,
            backgrounds=args.backgrounds,
            accept=args.accept,
            progress=bar,
        )
    print_faults(done.faults)
    print_losses(done.losses)
    if args.json:
        emit_json(done.to_dict())
        return 0
    print_splits(done.splits)
    shares = ", ".join(f"{name} {count}" for name, count in done.training_entries.items())
    show(f"{sum(done.training_entries.values())} training entries an epoch: {shares}")
    show(done.data_yaml)
    print_emptied(done.emptied, backgrounds=done.backgrounds)
    for name, count in done.left_out.items():
        say(f"left out: {count} val and test images of {name}")
    return 0


def _repeat(text: str) -> tuple[str, int]:
    name, _, times = text.rpartition("=")
    if not name or not times.isdecimal():
        raise UsageError("not a repeat", expected="NAME=N", got=text)
    return name, int(times)


def _weight(text: str) -> tuple[str, float]:
    name, _, weight = text.rpartition("=")
    try:
        if name:
            return name, float(weight)
    except ValueError:
        pass
    raise UsageError("not a weight", expected="NAME=X", got=text)

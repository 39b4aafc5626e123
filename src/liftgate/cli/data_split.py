"""`liftgate data split DATA --out DIR`: train, val and test by group, frozen in split.csv."""

from __future__ import annotations

import argparse
from pathlib import Path

from liftgate.cli.data_source import add_source, print_faults, print_splits, print_table, source_of
from liftgate.cli.output import add_json, emit_json, progress, say, show
from liftgate.cli.parser import at_least


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `liftgate data split`."""
    add_source(parser, frozen=False)
    parser.add_argument("--by", dest="groups", metavar="RULE", help="the same as --groups: `--by groups.csv`")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="for split.csv and the list files")
    parser.add_argument(
        "--ratios",
        type=float,
        nargs=3,
        default=(0.7, 0.15, 0.15),
        metavar=("TRAIN", "VAL", "TEST"),
        help="default 0.7 0.15 0.15",
    )
    parser.add_argument("--seed", type=at_least(0), default=0, help="of the draw (default 0)")
    parser.add_argument(
        "--stratify",
        metavar="RULE",
        help="spread its values over the splits: frames.csv#category, a regex with one (?P<name>…), or folder",
    )
    parser.add_argument("--extend", type=Path, metavar="CSV", help="keep this frozen split, assign only what is new")
    parser.add_argument("--folds", type=int, metavar="K", help="K folds instead: split-1.csv … split-K.csv")
    parser.add_argument(
        "--apart",
        type=Path,
        action="append",
        default=[],
        metavar="DATA",
        help="prove that this held-out set is disjoint",
    )
    parser.add_argument("--apart-groups", metavar="RULE", help="groups of the held-out sets (default: as --groups)")
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Run `liftgate data split` and return its exit code."""
    from liftgate.services.split import split

    with progress() as bar:
        done = split(
            source_of(args),
            args.out,
            ratios=args.ratios,
            seed=args.seed,
            extend=args.extend,
            folds=args.folds,
            apart=args.apart,
            apart_groups=args.apart_groups,
            stratify=args.stratify,
            progress=bar,
        )
    print_faults(done.faults)
    if args.json:
        emit_json(done.to_dict())
        return 0
    for frozen in done.splits:
        print_splits(frozen.splits)
        if frozen.strata:
            shown = list(frozen.strata[0].groups)
            rows = [[row.stratum, *(row.groups[name] for name in shown)] for row in frozen.strata]
            print_table([["groups of", *shown], *rows])
        show(f"{frozen.path}  sha256 {frozen.sha256[:12]}  seed {args.seed}")
    for proof in done.apart:
        say(f"{proof.data}: disjoint, {proof.n_images} images compared by their bytes, groups by name")
    return 0

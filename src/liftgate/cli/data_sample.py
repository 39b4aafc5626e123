"""`liftgate data sample FRAMES --out next.csv`: the next frames to label."""

from __future__ import annotations

import argparse
from pathlib import Path

from liftgate.cli.output import add_json, emit_json, progress, say, show
from liftgate.cli.parser import at_least, refuse_given
from liftgate.errors import UsageError


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `liftgate data sample`."""
    parser.add_argument("frames", type=Path, help="frames.csv of `liftgate data frames`, or a folder of images")
    parser.add_argument("--out", type=Path, required=True, metavar="CSV", help="image, reasons, score, group …")
    parser.add_argument("--copy", type=Path, metavar="DIR", help="copy the chosen frames there too")
    parser.add_argument(
        "--champion",
        type=Path,
        metavar="LOG",
        help="predictions of the model in use: a log of `liftgate serve`, COCO results, JSON lines or CSV",
    )
    parser.add_argument("--challenger", type=Path, metavar="LOG", help="those of another model on the same frames")
    parser.add_argument(
        "--new", type=Path, metavar="JSON", help="printed by `liftgate drift --images FRAMES --json`: its new frames"
    )
    parser.add_argument(
        "--never",
        action="append",
        default=[],
        metavar="SPLIT.CSV[:NAME]",
        help="never from the groups of this split's test (or NAME); may be given again",
    )
    parser.add_argument("--budget", type=int, default=200, help="how many frames (default 200)")
    parser.add_argument("--seed", type=at_least(0), default=0, help="of the draw (default 0)")
    parser.add_argument(
        "--share",
        action="append",
        default=[],
        metavar="REASON=X",
        help="weight of random, red, yellow, disagreement, low_confidence, new_look, hard_negative, hard_positive "
        "or spread; "
        "given once, the reasons not named get nothing",
    )
    parser.add_argument("--conf", type=float, default=0.25, help="detections below are not there (default 0.25)")
    parser.add_argument("--low", type=float, default=0.5, help="confidence below is low (default 0.5)")
    parser.add_argument("--near", type=int, default=12, help="near-copies differ in at most N of 256 bits (default 12)")
    design = parser.add_argument_group("to measure, not to train", "with recorded probabilities; see docs/judging.md")
    design.add_argument("--for", dest="purpose", choices=("compare", "recall", "map"), help="what the labels are for")
    design.add_argument("--groups", metavar="RULE", help="regex with (?P<group>…), CSV with image,group; folder …")
    design.add_argument("--classes", nargs="+", default=(), metavar="NAME", help="where nothing names them, in order")
    design.add_argument(
        "--strata", metavar="RULE", help="camera, day …: regex with a named group, CSV#COLUMN; each gets its share"
    )
    design.add_argument(
        "--per-group", type=at_least(1), metavar="N", help="most images of one group (default: by the budget)"
    )
    design.add_argument("--study", type=Path, metavar="STUDY", help="study.yaml whose ledger records the sample's hash")
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Run `liftgate data sample` and return its exit code."""
    if args.purpose is not None:
        return _for_measuring(args)
    refuse_given(args, ("study", "groups", "classes", "strata", "per_group"),
                 "these draw a sample for a measurement", expected="--for compare, recall or map")  # fmt: skip
    from liftgate.data.sampling import SamplingRequest, sample
    from liftgate.data.sampling.records import REASONS, SHARES
    from liftgate.data.sampling.sample import copy_frames, write_sample
    from liftgate.ledger.recorded_files import require_unchanged_predictions

    shares = dict(SHARES)
    if args.share:
        given = dict(_share(text) for text in args.share)
        if unknown := [reason for reason in given if reason not in REASONS]:
            raise UsageError("not a reason", expected=", ".join(REASONS), got=", ".join(unknown))
        shares = {reason: given.get(reason, 0.0) for reason in SHARES}
    request = SamplingRequest(args.budget, args.seed, shares, args.conf, args.low, args.near)
    for log in (args.champion, args.challenger):
        if log is not None:
            require_unchanged_predictions(log)
    with progress() as screen:
        result = sample(
            args.frames,
            request,
            champion=args.champion,
            challenger=args.challenger,
            new=args.new,
            never=args.never,
            progress=screen,
        )
        if args.copy:
            copy_frames([one.frame for one in result.chosen], args.copy, screen)
        write_sample(result, args.out)
    for fault in result.faults[:20]:
        say(f"{fault.kind}: {fault.where}: {fault.message}")
    tallies = {
        reason: {"wanted": tally.wanted, "given": tally.given, "candidates": tally.candidates}
        for reason, tally in result.tallies.items()
    }
    groups = len({one.frame.group for one in result.chosen})
    if args.json:
        emit_json(
            {
                "sample": str(args.out),
                "n_chosen": len(result.chosen),
                "n_groups": groups,
                "n_frames": result.n_frames,
                "n_locked": result.n_locked,
                "n_unreadable": result.n_unreadable,
                "reasons": tallies,
                "model_versions": [list(log.versions) for log in result.logs],
                "seed": args.seed,
            }
        )
    else:
        show(f"{len(result.chosen)} of {result.n_frames} frames chosen, seed {args.seed}: {args.out}")
        for reason, tally in tallies.items():
            show(f"  {reason:<15} {tally['given']:>5} of {tally['wanted']} wanted, {tally['candidates']} candidates")
        if result.n_locked:
            show(f"  {result.n_locked} frames left out: their groups are locked")
        if len(result.chosen) < args.budget:
            show("  fewer than the budget: the others are near-copies of these, locked or unreadable")
    for log in result.logs:
        if log.n_unknown:
            say(f"{log.path}: {log.n_unknown} rows are about images that are not among the frames")
    return 0 if result.chosen else 1


def _for_measuring(args: argparse.Namespace) -> int:
    from liftgate.services.sampled_evidence import draw_sample

    why = "--for draws by predictions, not by reasons"
    refuse_given(args, ("share", "new", "low", "near"), why, expected="--champion FILE")
    if args.champion is None:
        raise UsageError(why, expected="--champion FILE", got="none")
    with progress() as screen:
        drawn = draw_sample(
            args.frames, args.out, args.purpose, args.champion, args.challenger, budget=args.budget, groups=args.groups,
            classes=args.classes, never=args.never, strata=args.strata, conf=args.conf, per_group=args.per_group,
            seed=args.seed, study=args.study, copy=args.copy, progress=screen,
        )  # fmt: skip
    sample = drawn.sample
    if args.json:
        emit_json(
            {
                "sample": str(args.out),
                "hash": sample.hash,
                "for": sample.purpose,
                "n_chosen": len(sample.images),
                "n_groups": len(set(sample.groups)),
                "n_frames": sample.n_frames,
                "n_locked": drawn.locked,
                "gain": drawn.gain,
                "notes": list(drawn.notes),
                "seed": sample.seed,
            }
        )
    else:
        show(f"{drawn.text}: {args.out}", *(f"note: {note}" for note in drawn.notes))
        show(f"label all of them, then: liftgate evaluate or compare … --sample {args.out}")
    return 0


def _share(text: str) -> tuple[str, float]:
    reason, _, value = text.partition("=")
    try:
        return reason, float(value)
    except ValueError:
        raise UsageError("not a share", expected="REASON=NUMBER", got=text) from None

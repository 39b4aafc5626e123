"""`liftgate data agree --a LABELS --b LABELS`: measure how far annotators agree."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from liftgate.cli.data_source import add_groups, add_images
from liftgate.cli.output import add_json, emit_json, progress, say, show
from liftgate.cli.parser import at_least
from liftgate.errors import EXIT_CODES, UsageError

if TYPE_CHECKING:
    from liftgate.evaluation.agreement_records import Agreement, AgreementVerdict
    from liftgate.stats.interval import Interval

_ON = ("kappa", "f1_50", "presence_kappa", "presence_ac1")


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `liftgate data agree`."""
    parser.add_argument("--a", type=Path, required=True, metavar="LABELS", help="data.yaml, COCO JSON or VOC folder")
    parser.add_argument("--b", type=Path, metavar="LABELS", help="the same frames by a second annotator")
    parser.add_argument(
        "--c", type=Path, action="append", default=[], metavar="LABELS", help="further annotators; may be given again"
    )
    add_images(parser)
    parser.add_argument("--names", nargs="+", metavar="NAME", help="what to call the annotators, in order")
    add_groups(parser)
    parser.add_argument("--iou", type=float, default=0.5, help="overlap that makes two boxes one object (default 0.5)")
    parser.add_argument(
        "--missing",
        choices=("left-out", "empty"),
        default="left-out",
        help="a frame without a label file: not labelled yet (left-out, the default), or empty",
    )
    gate = parser.add_argument_group("gate (exit 0 PASS, 10 FAIL, 11 MARGINAL)")
    gate.add_argument("--gate", type=float, metavar="X", help="the least agreement that will do, such as 0.85")
    gate.add_argument("--gate-on", choices=_ON, default="kappa", help="what it judges (default kappa)")
    gate.add_argument("--level", type=float, default=0.95, help="of the intervals (default 0.95)")
    parser.add_argument("--out", type=Path, metavar="FILE", help="page.html with pictures; with --overlap a CSV")
    draw = parser.add_argument_group("before labelling")
    draw.add_argument("--overlap", type=int, metavar="N", help="draw N frames of --a that a second person labels too")
    draw.add_argument("--seed", type=at_least(0), default=0, help="of the draw and the bootstrap (default 0)")
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Run `liftgate data agree` and return its exit code."""
    if args.overlap is not None:
        return _draw(args)
    if args.b is None:
        raise UsageError("--b is missing", hint="give a second label set, or --overlap N to draw what to label twice")
    if args.gate is not None and not -1 < args.gate <= 1:
        raise UsageError("--gate is out of range", expected="above -1, at most 1", got=args.gate)
    from liftgate.evaluation.label_agreement import judge, to_dict
    from liftgate.services.agreement import agree

    with progress() as bar:
        compared = agree(
            [args.a, args.b, *args.c],
            names=args.names,
            images=args.images,
            groups=args.groups,
            level=args.level,
            iou=args.iou,
            missing_is_empty=args.missing == "empty",
            seed=args.seed,
            progress=bar,
        )
    found = [one.found for one in compared]
    verdict = None if args.gate is None else judge(found, args.gate, args.gate_on)
    if args.out:
        from liftgate.reporting.dataset_pages import agreement_page, render_agreement

        command = shlex.join(["liftgate", *sys.argv[1:]])
        say(f"page: {render_agreement(agreement_page(compared, verdict, command), args.out)}")
    if args.json:
        emit_json(to_dict(found, verdict))
    else:
        _print_agreements(found, verdict)
    return 0 if verdict is None else EXIT_CODES[verdict.word]


def _draw(args: argparse.Namespace) -> int:
    from liftgate.data.core.csv_tables import table_bytes
    from liftgate.files import write_bytes
    from liftgate.services.agreement import draw_overlap_of

    with progress() as bar:
        drawn = draw_overlap_of(
            args.a, args.overlap, images=args.images, groups=args.groups, seed=args.seed, progress=bar
        )
    rows = [(image.id, image.group or "") for image in drawn.images]
    if args.out:
        write_bytes(args.out, table_bytes(("image", "group"), rows))
    if args.json:
        emit_json({"seed": args.seed, "images": [{"image": image, "group": group or None} for image, group in rows]})
    elif not args.out:
        show(*(image for image, _ in rows))
    say(f"{len(rows)} images of {len(set(drawn.groups))} groups, seed {args.seed}")
    return 0


def _print_agreements(found: Sequence[Agreement], verdict: AgreementVerdict | None) -> None:
    from liftgate.stats.interval import sample

    for pair in found:
        show(f"{pair.a} and {pair.b}: {sample(pair.n_images, pair.n_groups)}, {pair.n_matched:,} of "
              f"{pair.n_a:,} and {pair.n_b:,} boxes matched at IoU {pair.iou:g}")  # fmt: skip
        for label, value in (
            ("kappa", pair.kappa),
            ("F1, any class", pair.f1_50),
            ("F1, same class", pair.f1_50_class),
            ("mean IoU", pair.mean_iou),
            ("presence kappa", pair.presence_kappa),
            ("presence AC1", pair.presence_ac1),
        ):
            show(f"  {label:<15} {_words(value)}")
        width = max([5, *(len(entry.name) for entry in pair.per_class)])
        show(f"  {'class':<{width}}  {'a':>6} {'b':>6} {'agreed':>6} {'kappa':>7} {'F1':>7}")
        for entry in pair.per_class:
            show(f"  {entry.name:<{width}}  {entry.n_a:>6} {entry.n_b:>6} {entry.n_agreed:>6} "
                  f"{entry.kappa.estimate:>7.4f} {entry.f1_50.estimate:>7.4f}")  # fmt: skip
        if pair.disagreements:
            worst = ", ".join(f"{case.image} ({case.count})" for case in pair.disagreements[:3])
            show(f"  they differ on {len(pair.disagreements):,} images; worst: {worst}")
        for note in pair.notes:
            say(f"note: {note}")
    if verdict is not None:
        show(f"{verdict.word}: {verdict.sentence}")


def _words(value: Interval) -> str:
    from liftgate.stats.interval import percent

    if value.low is None or value.high is None:
        return f"{value.estimate:.4f}  {value.note}"
    return f"{value.estimate:.4f}  [{value.low:.4f}, {value.high:.4f}]  {percent(value.level)} {value.method}"

"""`liftgate judge CONTROL TREATMENT --images FOLDER --out DIR`: what two models disagree about, for a person."""

from __future__ import annotations

import argparse
import textwrap
from pathlib import Path

import liftgate
from liftgate.cli.measurement_options import PREDICTIONS
from liftgate.cli.output import add_json, add_open_anyway, emit_json, progress, reason_to_open, say, show
from liftgate.cli.parser import at_least, refuse_given
from liftgate.errors import UsageError


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `liftgate judge`."""
    parser.add_argument("control", type=Path, help=f"{PREDICTIONS}, of the old model")
    parser.add_argument("treatment", type=Path, help="the same, of the new model, on the same images")
    parser.add_argument(
        "--images", required=True, type=Path, metavar="DIR",
        help="folder of images, frames.csv, or a data set, whose labels are not used",
    )  # fmt: skip
    parser.add_argument("--out", type=Path, metavar="DIR", help="a new folder for the draw and the page or task")
    parser.add_argument(
        "--to", choices=("page", "cvat"), default="page",
        help="where to answer: judge.html, or a folder `cvat` with a task to import there (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument("--plan", action="store_true", help="only say how many judgements it takes; write nothing")
    parser.add_argument(
        "--budget", type=int, metavar="N",
        help="judgements (default: as many as make the interval about 1.15 times as wide as labels would)",
    )  # fmt: skip
    parser.add_argument(
        "--groups", metavar="RULE", help="regex with (?P<group>…), CSV with image,group; folder, exif or name-time"
    )
    parser.add_argument("--split", help="of a data set")
    parser.add_argument("--classes", nargs="+", default=(), metavar="NAME", help="where nothing names them, in order")
    parser.add_argument(
        "--conf", type=float, default=0.25, help="detections below are not there (default: %(default)s)"
    )
    parser.add_argument("--seed", type=at_least(0), default=0, help="of the draw (default: %(default)s)")
    parser.add_argument("--common", action="store_true", help="only images that both were predicted on")
    stop = parser.add_argument_group("stop when it is settled", "questions group by group; `compare` after any of them")
    stop.add_argument("--until", metavar="METRIC", help="what to settle, such as precision; with --study: a gate of it")
    stop.add_argument("--study", type=Path, metavar="STUDY", help="study.yaml whose gate --until names")
    stop.add_argument("--margin", type=float, default=0.0, help="the least worthwhile gain (default: %(default)s)")
    stop.add_argument("--level", type=float, default=0.95, help="of the intervals at all looks (default: %(default)s)")
    add_open_anyway(parser)
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Run `liftgate judge` and return its exit code."""
    if (args.out is None) != args.plan:
        raise UsageError("--out DIR writes the page, --plan only plans it", expected="one of the two")
    if args.until is None:
        why = "these say what is settled, when questions come group by group"
        refuse_given(args, ("study", "margin", "level"), why, expected="--until METRIC",
                     hint="without it they are for `liftgate compare --judgements`")  # fmt: skip
    elif args.study is not None:
        refuse_given(args, ("margin", "level"), "the gate says margin and level", hint="leave them out")
    until = None
    if args.until is not None:
        from liftgate.judging.draw import Until
        from liftgate.services.judging import until_gate

        fixed = Until(args.until, args.margin, level=args.level)
        until = fixed if args.study is None else until_gate(args.study, args.until)
    with progress() as bar:
        drawn = liftgate.judge(
            args.control, args.treatment, args.images, args.out, budget=args.budget, groups=args.groups,
            split=args.split, classes=args.classes, conf=args.conf, seed=args.seed, common=args.common,
            until=until, to=args.to, open_anyway=reason_to_open(args), progress=bar,
        )  # fmt: skip
    plan = drawn.plan
    if args.json:
        emit_json(
            {
                "questions": plan.questions,
                "kinds": dict(plan.kinds),
                "units": dict(plan.units),
                "agreement": plan.agreement,
                "boxes": plan.boxes,
                "n_images": plan.n_images,
                "n_groups": plan.n_groups,
                "width": plan.width,
                "pays": plan.pays,
                "groups_apart": plan.groups_apart,
                "notes": list(plan.notes),
                "draw": drawn.draw.hash,
                "seed": args.seed,
                "folder": None if drawn.folder is None else str(drawn.folder),
            }
        )
        return 0
    show(*textwrap.wrap(plan.text, 100), *(f"note: {note}" for note in plan.notes))
    if until is not None:
        what = f"until {until.metric} is settled at a margin of {until.margin:g}"
        show("", f"{what}: it may take fewer; save at any time")
    if drawn.folder is not None:
        answers = "answers.csv"
        if args.to == "cvat":
            answers = "EXPORT.zip"
            show("", f"make a task in CVAT of {drawn.folder / 'cvat'} (see its README.md), answer, export it; then:")
        else:
            show("", f"open {drawn.folder / 'judge.html'} in a browser, answer, save answers.csv; then:")
        show(
            f"  liftgate compare --judgements {answers} --draw {drawn.folder} --control {args.control} "
            f"--treatment {args.treatment}" + ("" if until else " --metric recall --margin 0.0")
        )
    elif not plan.pays:
        say("nothing was written")
    return 0

"""`liftgate check`: findings in a study or data set, before any work."""

from __future__ import annotations

import argparse
import contextlib
import shlex
import sys
from dataclasses import asdict
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from liftgate.cli import output
from liftgate.cli.parser import refuse_given
from liftgate.errors import FindingsError, LiftgateError, UsageError
from liftgate.visible import visible_line

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from rich.console import Console

    from liftgate.checks.finding import Finding
    from liftgate.checks.run import CheckResult

_NO_REASON = "no reason given"
_OF_FINDINGS = ("ignore", "quiet", "fix", "page", "set")
_COLOURS = {"error": "bold red", "warning": "yellow", "info": "cyan"}


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `liftgate check`."""
    parser.add_argument("path", type=Path, help="study.yaml, data.yaml, COCO JSON, Pascal VOC folder, or a model")
    parser.add_argument(
        "--groups", metavar="RULE", help="regex with (?P<group>…), CSV, `folder`, `exif` or `name-time`"
    )
    parser.add_argument("--images", type=Path, metavar="DIR", help="folder of the images, where labels do not name it")
    parser.add_argument(
        "--predictions", type=Path, metavar="FILE",
        help="of a model that was trained on other images: adds suspected mistakes in the labels (mistakes.…); of a "
        "study, --review takes those of its step `mistakes`",
    )  # fmt: skip
    parser.add_argument(
        "--review", type=Path, metavar="DIR", help="write a page there to accept or reject these mistakes by keyboard"
    )
    parser.add_argument(
        "--reviewed", type=Path, metavar="CSV", help="answers.csv of that page: how many of all flagged are mistakes"
    )
    parser.add_argument(
        "--mend", type=Path, metavar="DIR",
        help="with --reviewed: a copy of the data set in which the accepted mistakes are undone",
    )  # fmt: skip
    parser.add_argument(
        "--to", choices=("yolo", "coco", "voc", "cvat"),
        help="format of --mend (default: yolo); cvat: only the images with accepted mistakes, to be corrected by hand",
    )  # fmt: skip
    parser.add_argument("--select", metavar="IDS", action="append", help="only these ids or families, comma-separated")
    parser.add_argument(
        "--ignore",
        metavar="ID[=REASON]",
        action="append",
        default=[],
        help="live with a finding, or a family of them; the reason is recorded",
    )
    parser.add_argument("--quiet", action="store_true", help="leave out what is only worth knowing (info)")
    parser.add_argument(
        "--fix",
        action="append",
        metavar="DIR",
        help="write a corrected copy of the data (labels, data.yaml, images as links; of a study also study.yaml) "
        "into a new folder, and check it; boxes are moved only with `--fix labels.geometry` too",
    )
    parser.add_argument(
        "--page", type=Path, metavar="HTML", help="write the findings with pictures: boxes both ways, pairs of copies"
    )
    output.add_open_anyway(parser)
    output.add_overrides(parser)
    output.add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Run `liftgate check` and return its exit code."""
    from liftgate import api
    from liftgate.study.study_file import study_path

    args.path = study_path(args.path)
    if args.page is not None and args.page.is_dir():
        raise UsageError("--page is a folder", got=args.page, expected="the name of an HTML file")
    if args.to is not None and args.mend is None:
        raise UsageError("--to is the format of --mend", got=args.to, expected="--mend DIR")
    if args.mend is not None and args.reviewed is None:
        raise UsageError("--mend undoes what a review accepted", expected="--review DIR --reviewed answers.csv")
    if args.review is not None or args.reviewed is not None:
        return _review(args)
    if args.fix is not None:
        if args.overrides:
            raise UsageError(
                "--fix goes by study.yaml as written",
                got="--set",
                hint="write the change into study.yaml",
            )
        args.path = _fixed(args)
        args.groups = None if args.groups and args.groups.lower().endswith(".csv") else args.groups
        args.images = None
    select = None if args.select is None else [word for part in args.select for word in part.split(",") if word]
    ignored = _ignore_reasons(args.ignore)
    try:
        with output.progress() as progress:
            result = api.check(
                args.path,
                groups=args.groups,
                images=args.images,
                predictions=args.predictions,
                select=select,
                ignore=ignored,
                page=args.page,
                command=shlex.join(["liftgate", *sys.argv[1:]]),
                overrides=args.overrides,
                open_anyway=output.reason_to_open(args),
                progress=progress,
            )
    except LiftgateError as error:
        if args.json:  # a program that reads stdout gets JSON of a data.yaml that cannot be read too
            output.emit_json({"ok": False, "findings": [_unreadable(args.path, error)]})
        raise
    if args.page is not None:
        output.say(f"wrote {args.page}")
    if result.contaminated:
        output.say(result.contaminated)
    if missing := _missing_trainer(args):
        output.say(missing)
    if args.json:
        output.emit_json(result.to_dict())
    else:
        _show(result, quiet=args.quiet)
    return 0 if result.ok else FindingsError.exit_code


def _missing_trainer(args: argparse.Namespace) -> str:
    """Return what `run` will need and this machine lacks, for a study; empty: nothing, or it is no study."""
    from liftgate.pipeline.planning.recipes import missing_trainer
    from liftgate.study.study_file import is_study, load

    return missing_trainer(load(args.path, args.overrides)) if is_study(args.path) else ""


def _review(args: argparse.Namespace) -> int:
    """Write the page of a review, or report what its answers say."""
    from liftgate.services.checking import mend_mistakes, review_mistakes, reviewed_mistakes

    if args.review is None:
        raise UsageError("--reviewed needs the review that it answers", expected="--review DIR")
    # --select mistakes: the command that listed them, with --review added
    unused = _OF_FINDINGS if args.select == ["mistakes"] else ("select", *_OF_FINDINGS)
    refuse_given(args, unused, "a review is of suspected mistakes in labels, not of other findings",
                 hint="leave --review out, or these")  # fmt: skip
    if args.reviewed is not None:
        refuse_given(args, ("predictions",), "the review has its predictions", hint="leave --predictions out")
        found = reviewed_mistakes(args.review, args.reviewed)
        if args.mend is not None:
            with output.progress() as progress:
                written = mend_mistakes(
                    args.path, args.review, args.reviewed, args.mend, to=args.to or "yolo", groups=args.groups,
                    images=args.images, progress=progress,
                )  # fmt: skip
            output.say(f"wrote {written.n_images} images with {written.n_objects} labels: {args.mend}")
        if args.json:
            output.emit_json([asdict(one) for one in found])
        else:
            output.show(*(one.text for one in found))
        return 0
    with output.progress() as progress:
        review = review_mistakes(
            args.path, args.predictions, args.review, groups=args.groups, images=args.images,
            open_anyway=output.reason_to_open(args), progress=progress,
        )  # fmt: skip
    if args.json:
        page = str(args.review / "review.html")
        output.emit_json({"flagged": dict(review.flagged), "to_review": len(review.items), "page": page})
    counts = ", ".join(f"{kind} {number}" for kind, number in review.flagged.items())
    output.say(f"flagged: {counts}; to review: {len(review.items)} in {args.review / 'review.html'}")
    output.say(f"then: liftgate check {args.path} --review {args.review} --reviewed answers.csv")
    return 0


def _unreadable(path: Path, error: LiftgateError) -> dict[str, str]:
    """Return the finding for data that cannot be read at all; its id is that of a missing path."""
    where = str(error.where or path)
    return {"id": "data.path", "severity": "error", "where": where, "message": error.what, "hint": error.hint or ""}


def _fixed(args: argparse.Namespace) -> Path:
    """Write a fixed copy of a data set or of a study's data, and return its data.yaml or study.yaml."""
    from liftgate.checks.fixes.dataset_fixes import fix_dataset, fix_lines, write_fixed
    from liftgate.data.formats.read import read
    from liftgate.study.study_file import is_study

    folder, named = _fix_target(args)
    if is_study(args.path):
        return _fixed_study(args.path, folder, named)
    with output.progress() as progress:
        dataset = read(args.path, images=args.images, progress=progress)
        done = fix_dataset(dataset, named)
        data_yaml = write_fixed(done, folder)
    for line in fix_lines(done.changes) or ["nothing to fix was found"]:
        output.say(line)
    if named and any(change.what.startswith("boxes corrected") for change in done.changes):
        output.say(f"wrote {_before_and_after(args, folder)}: boxes before and after")
    output.say(f"wrote {data_yaml}; its check follows")
    return data_yaml


def _fix_target(args: argparse.Namespace) -> tuple[Path, tuple[str, ...]]:
    """Return the folder of the fixed copy and the named fixes: `--fix DIR --fix labels.geometry`."""
    from liftgate.checks.fixes.dataset_fixes import GEOMETRY

    named = tuple(word for word in args.fix if word == GEOMETRY)
    folders = [word for word in args.fix if word != GEOMETRY]
    if len(folders) > 1:
        raise UsageError("--fix takes one folder", got=", ".join(folders), expected=f"DIR, and {GEOMETRY}")
    data_folder = args.path.parent if args.path.is_file() else args.path
    return Path(folders[0]) if folders else data_folder.with_name(f"{data_folder.absolute().name}-fixed"), named


def _before_and_after(args: argparse.Namespace, folder: Path) -> Path:
    from liftgate import api

    page = folder / "labels.geometry.html"
    api.check(args.path, images=args.images, select=["labels.geometry"], page=page)
    return page


def _fixed_study(path: Path, folder: Path, named: tuple[str, ...]) -> Path:
    from liftgate.checks.fixes.dataset_fixes import fix_lines
    from liftgate.checks.fixes.study_fixes import fix_study
    from liftgate.ledger.workspace import Workspace
    from liftgate.pipeline.datasets import StudyDatasets
    from liftgate.study.study_file import load

    study = load(path)
    with output.progress() as progress:
        datasets = StudyDatasets(study, Workspace(study), progress).all()
        path, fixed = fix_study(study, datasets, folder, progress, on_request=named)
    for name, changes in fixed.items():
        for line in fix_lines(changes):
            output.say(f"{name}: {line}")
    output.say(f"wrote {path}; its check follows" if fixed else "nothing to fix was found; nothing was written")
    return path


def _ignore_reasons(words: list[str]) -> dict[str, str]:
    """Return id → reason from `--ignore ID` and `--ignore ID=REASON`; several ids are separated by commas."""
    reasons: dict[str, str] = {}
    for word in words:
        ids, equals, reason = word.partition("=")
        if equals and not reason.strip():
            raise UsageError(
                f"--ignore {word} gives no reason", hint=f"--ignore '{ids.strip()}=why it does no harm here'"
            )
        reasons |= {id_.strip(): reason.strip() or _NO_REASON for id_ in ids.split(",") if id_.strip()}
    return reasons


def _show(result: CheckResult, *, quiet: bool) -> None:
    from rich.console import Console

    console = Console(highlight=False, soft_wrap=True)
    shown = [finding for finding in result.findings if not (quiet and finding.severity == "info")]
    for _, group in groupby(shown, key=lambda finding: (finding.severity, finding.id)):
        _show_group(console, list(group))
    for one in result.ignored:
        console.print(f"ignored [bold]{one.finding.id}[/bold] ", end="")
        console.print(visible_line(f"({one.reason}): {one.finding.message}"), style="dim", markup=False)
    for name, found in result.geometry.items():
        console.print(visible_line(_geometry(name, found)), style="dim", markup=False)
    console.print(visible_line(_summary(result)), markup=False)


def _geometry(name: str, found: Mapping[str, Any]) -> str:
    """Return the result of the label geometry probe, which is shown even if it is no finding ("fits")."""
    why = found.get("why") or f"{found['images']} images, boxes as stored: z {found['z']:.1f}"
    return f"label geometry of {name}: {found['answer']} ({why})"


def _show_group(console: Console, findings: list[Finding]) -> None:
    """Print findings of one kind: a heading, every place, and the hint once if all have the same."""
    first = findings[0]
    colour = _COLOURS[first.severity]
    console.print(f"[{colour}]{first.severity}[/{colour}] [bold]{first.id}[/bold]")
    hints = {finding.hint for finding in findings}
    for finding in findings:
        console.print(visible_line(f"  {_short_path(finding.where)}"), style="dim", markup=False)
        console.print(visible_line(f"    {finding.message}"), markup=False)
        if len(hints) > 1:
            console.print(visible_line(f"    hint: {finding.hint}"), style="green", markup=False)
    if len(hints) == 1:
        console.print(visible_line(f"  hint: {first.hint}"), style="green", markup=False)
    console.print()


def _summary(result: CheckResult) -> str:
    counts = result.counts
    parts = [
        f"{count} {severity}{'s' * (count != 1 and severity != 'info')}" for severity, count in counts.items() if count
    ]
    found = ", ".join(parts) or "nothing found"
    ignored = f", {len(result.ignored)} ignored" if result.ignored else ""
    scanned = f"{result.n_images:,} images, {result.n_boxes:,} boxes, {len(result.rules)} rules"
    return (
        f"{found}{ignored} ({scanned}). `liftgate explain ID` has details."
        if parts
        else f"{found}{ignored} ({scanned})."
    )


def _short_path(where: str) -> str:
    """Return a path below the working directory relative to it."""
    with contextlib.suppress(OSError, ValueError):
        return where.replace(f"{Path.cwd()}/", "", 1)
    return where

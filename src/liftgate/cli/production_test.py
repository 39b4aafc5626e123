"""`liftgate evaluate --api-url`: the production test of a model behind HTTP, and the marks of its page."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from liftgate.cli.ask import parse_header
from liftgate.cli.output import emit_json, progress, reason_to_open, say, show
from liftgate.cli.parser import at_least
from liftgate.errors import UsageError

if TYPE_CHECKING:
    from liftgate.services.production_test import ProductionTest

OF_AN_API = (
    "mapping",
    "header",
    "token_file",
    "at_once",
    "allow_folder",
    "confidential",
    "allow_remote",
    "to_mark",
    "seed",
)
"""Options that only a model behind HTTP has"""
_ONLY_FILES = ("predictions", "sample", "val", "val_truth", "pck", "by", "sigmas", "common", "errors", "label_errors")


def add_production_test(parser: argparse.ArgumentParser) -> None:
    """Add the options of a production test to evaluate."""
    api = parser.add_argument_group("a model behind HTTP", "instead of --predictions; what `ask` refuses is refused")
    api.add_argument("--api-url", metavar="URL", help="a server of `liftgate serve`, or with --mapping any API")
    api.add_argument("--out", type=Path, metavar="FOLDER", help="predictions, evaluation, REPORT.md, page to mark")
    api.add_argument("--mapping", type=Path, metavar="YAML", help="how images are posted and answers read")
    api.add_argument("--header", action="append", default=[], metavar="NAME=VARIABLE", help="with --mapping: a key")
    api.add_argument("--token-file", type=Path, metavar="FILE", help="of a server; or $LIFTGATE_SERVE_TOKEN")
    api.add_argument("--at-once", type=int, default=1, metavar="N", help="requests in flight (default: 1)")
    api.add_argument("--allow-folder", action="append", default=[], type=Path, metavar="DIR", help="send from here too")
    api.add_argument("--confidential", action="store_true", help="the images may not leave this machine")
    api.add_argument("--allow-remote", action="append", default=[], metavar="HOST", help="confidential ones may go")
    api.add_argument("--to-mark", type=int, default=100, metavar="N", help="random predictions to look at: 100")
    api.add_argument("--seed", type=at_least(0), default=0, help="of their draw (default: 0)")
    api.add_argument("--marks", type=Path, metavar="CSV", help="answers.csv of the page in --out: how many are right")


def run_production_test(args: argparse.Namespace) -> ProductionTest:
    """Run the test that the options ask for.

    Raises:
        UsageError: no truth, no folder, or an option that only files of predictions have.
    """
    from liftgate.data.remote.hosts import plain_http_warning
    from liftgate.deploy.remote_predictions import RequestPolicy
    from liftgate.services.production_test import ApiAccess, evaluate_api

    if args.out is None:
        raise UsageError("a production test writes a folder", expected="--out FOLDER")
    if given := [name for name in _ONLY_FILES if getattr(args, name, None)]:
        raise UsageError(f"--{given[0].replace('_', '-')} is of predictions in files", expected="--api-url alone")
    if note := plain_http_warning(args.api_url):
        say(f"note: {note}")
    access = ApiAccess(
        mapping=args.mapping, headers=dict(parse_header(text) for text in args.header), token_file=args.token_file,
        policy=RequestPolicy(at_once=args.at_once), confidential=args.confidential, allowed_hosts=args.allow_remote,
        allowed_folders=args.allow_folder,
    )  # fmt: skip
    with progress() as bar:
        return evaluate_api(
            args.truth,
            args.api_url,
            args.out,
            access=access,
            groups=args.groups,
            split=args.split,
            images=args.images,
            level=args.level,
            conf=args.conf,
            threats=args.threats,
            threshold=None if args.threshold is None else _number(args.threshold),
            to_mark=args.to_mark,
            seed=args.seed,
            open_anyway=reason_to_open(args),
            progress=bar,
        )


def show_marks(args: argparse.Namespace) -> None:
    """Print what the marks say.

    Raises:
        UsageError: no folder of a test.
    """
    from liftgate.services.production_test import read_marks

    if args.out is None:
        raise UsageError("the marks are of a production test", expected="--out FOLDER, which the test wrote")
    found = read_marks(args.out, args.marks, args.level)
    if args.json:
        emit_json(asdict(found))
    else:
        show(found.text)


def lines_of(test: ProductionTest) -> Iterator[str]:
    """Yield what a person is told below the table of metrics."""
    for name, one in test.seconds.items():
        spread = "not established" if one.low is None or one.high is None else f"[{one.low:.3f}, {one.high:.3f}]"
        yield f"seconds per image, {name}: {one.estimate:.3f} {spread}"
    if test.to_mark:
        yield f"{test.to_mark} random predictions to mark by keyboard: {test.folder / 'marks' / 'marks.html'}"
    yield f"to go back: {test.rollback}"


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        hint = "`ask` writes predictions, and `evaluate --predictions … --val …` chooses by them"
        raise UsageError("a threshold that is chosen needs predictions on val", got=text, hint=hint) from None

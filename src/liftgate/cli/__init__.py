"""The command line: one small module per verb, which parses arguments, calls `liftgate.api` and prints the result.

Only the module of the verb on the command line is imported, so `liftgate --help` starts as fast as Python itself.
Data go to stdout, messages to stderr. Exit codes and JSON: docs/output.md.
"""

from __future__ import annotations

import argparse
import atexit
import gc
import importlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from liftgate._version import __version__
from liftgate.cli.parser import Parser
from liftgate.cli.streams import (
    escape_control_characters,
    escape_unencodable,
    expect_json,
    has_emitted_json,
    open_closed_streams,
)
from liftgate.errors import LiftgateError, full_disk_hint, os_error_hint, os_error_place
from liftgate.files import require_no_device
from liftgate.suggestions import nearby
from liftgate.visible import visible_line, visible_text

# verb → what it does: on a study, in order; then without a study; then the ledger. Modules: liftgate.cli.VERB.
VERBS = {
    "demo": "the whole story on the CPU in minutes",
    "init": "write a study to edit, from a template",
    "data": "frames, formats, merging, splits, agreement, sampling: the data room",
    "check": "findings in a study or data set, before any work",
    "explain": "what a finding means, why it matters, how to fix it",
    "plan": "what would run, what is cached and why, hours and money",
    "cost": "what a study costs on machines to rent or to buy",
    "run": "run a study, or resume it",
    "status": "the state of studies, from any shell",
    "logs": "the logs of a study",
    "stop": "pause a running study, from any shell",
    "report": "a study's report again: HTML, Markdown, tables and figures",
    "board": "a local page over all ledgers: what runs, what was decided",
    "predict": "detections of any model on any images, labelled or not",
    "export": "a checkpoint in other formats and precisions, and the proof of what each costs",
    "ask": "predictions of an HTTP API on a truth set, to evaluate and compare",
    "evaluate": "metrics with intervals, for any detector's predictions",
    "compare": "the paired verdict on two detectors' predictions",
    "judge": "what two models disagree about, judged by yes or no: a verdict without labels",
    "worth": "what more training images would bring, from a study's arms of different size",
    "size": "how many images and groups a claim needs",
    "doctor": "what went wrong in any Ultralytics run, with the evidence",
    "bench": "time, memory and energy of models side by side, measured in turns",
    "models": "versions of models with their evidence: register, promote, roll back, verify",
    "serve": "a model over HTTP: the champion, exchanged without a dropped request",
    "watch": "the champion on cameras, files and folders, with the production log",
    "shadow": "a challenger beside the champion: where they differ, without labels",
    "drift": "production against training data or an earlier time, by camera",
    "ledger": "show the ledger, and verify that it was not changed",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; errors are printed without a traceback."""
    open_closed_streams()
    escape_unencodable()
    escape_control_characters()
    _limit_threads_and_gc()
    expect_json()
    words = list(sys.argv[1:] if argv is None else argv)
    try:
        args = _parser(words).parse_args(words)
        _refuse_devices(args)
        return int(args.run(args))
    except SystemExit as stop:  # argparse: 0 after --help, 2 after bad usage
        return int(stop.code or 0)
    except LiftgateError as error:
        error.hint = error.hint or _path_hint(error, words)
        print(visible_text(f"error: {error}"), file=sys.stderr)
        _emit_error(words, error, error.exit_code)
        return error.exit_code
    except KeyboardInterrupt:
        print("interrupted: the same command goes on from here", file=sys.stderr)
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # `liftgate … | head` is not an error
        return 0
    except OSError as error:  # a full disk, a folder without write permission: not a fault of Liftgate
        if os.environ.get("LIFTGATE_TRACEBACK"):
            raise
        place = os_error_place(error)
        where = "" if place is None else f" ({_shortened(place)})"
        print(visible_line(f"error: {error.strerror or error}{where}"), file=sys.stderr)
        print(f"hint: {os_error_hint(error)}", file=sys.stderr)
        found = LiftgateError(str(error.strerror or error), where=place, hint=os_error_hint(error))
        _emit_error(words, found, 1)
        return 1
    except Exception as error:
        if os.environ.get("LIFTGATE_TRACEBACK"):
            raise
        print(visible_line(f"error: {type(error).__name__}: {error}"), file=sys.stderr)
        full = full_disk_hint(error)  # of SQLite, where no reader or writer said it
        hint = full or "this is a fault in liftgate; LIFTGATE_TRACEBACK=1 shows where"
        print(f"hint: {hint}", file=sys.stderr)
        _emit_error(words, LiftgateError(f"{type(error).__name__}: {error}"), 1)
        return 1


def _path_hint(error: LiftgateError, words: Sequence[str]) -> str | None:
    """Return what is near a path that was typed and is not there; None: the error is about something else."""
    typed = {word.partition("=")[2] if word.startswith("--") else word for word in words}
    if error.where is None or error.where not in {str(Path(word)) for word in typed if word}:
        return None
    try:
        return None if Path(error.where).exists() else nearby(Path(error.where))
    except (OSError, ValueError):
        return None


def _emit_error(words: Sequence[str], error: LiftgateError, exit_code: int) -> None:
    """Print an error as JSON on stdout, where a command is asked for JSON; its text is on stderr already."""
    if "--json" not in words or has_emitted_json():
        return
    from liftgate.cli.output import emit_json

    names = ("what", "where", "expected", "got", "hint")
    emit_json({"error": {name: getattr(error, name) for name in names}, "exit_code": exit_code})


def _refuse_devices(args: argparse.Namespace) -> None:
    """Refuse devices, pipes and sockets among the paths of a command; other text is no path of one.

    Raises:
        DataError: one of them is one.
    """
    for value in vars(args).values():
        for one in value if isinstance(value, list | tuple) else [value]:
            if isinstance(one, str | Path):
                require_no_device(Path(one))


def _limit_threads_and_gc() -> None:
    # Liftgate's matrices are small, and numpy's linear algebra threads would spin while they wait for work.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    # A command keeps many small records: searching them all for cycles takes time and finds none.
    gc.set_threshold(100_000, 50, 100)
    atexit.register(gc.freeze)  # nor at the end, when the process gives everything back anyway


def _shortened(path: str) -> str:
    return path if len(path) <= 300 else f"{path[:140]}…{path[-140:]}"


def _parser(words: Sequence[str]) -> argparse.ArgumentParser:
    verb = next((word for word in words if not word.startswith("-")), "")
    # A parser takes a millisecond: all of them are made only where they are listed.
    needed = {verb: VERBS[verb]} if verb in VERBS and words[0] == verb else VERBS
    parser = Parser(prog="liftgate", description="Fine-tune a YOLO model only when it helps, and prove that it helped.")
    parser.add_argument("--version", action="version", version=f"liftgate {__version__}")
    verbs = parser.add_subparsers(metavar="VERB", required=True)
    for name, summary in needed.items():
        child = verbs.add_parser(name, help=summary, description=summary[0].upper() + summary[1:] + ".")
        if name == verb:
            module = importlib.import_module(f"liftgate.cli.{name}")
            module.configure(child)
            child.set_defaults(run=module.run)
    return parser

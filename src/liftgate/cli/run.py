"""`liftgate run STUDY`: run a study, or resume it."""

from __future__ import annotations

import argparse
import os
import signal
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from liftgate.cli.live_view import NoticePrinter
from liftgate.cli.output import (
    add_engine,
    add_json,
    add_open_anyway,
    add_overrides,
    emit_json,
    progress,
    reason_to_open,
    say,
    show,
)
from liftgate.errors import FindingsError, UsageError


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `liftgate run`."""
    parser.add_argument("study", type=Path, help="study.yaml")
    parser.add_argument("--detach", action="store_true", help="run without this shell; messages go to run.log")
    parser.add_argument(
        "--prepare", action="store_true", help="check, write every training's folder with its command, run nothing"
    )
    parser.add_argument(
        "--time-limit",
        metavar="TIME",
        default=os.environ.get("LIFTGATE_TIME_LIMIT") or None,
        help="pause in time for it: 4h, 90m, HH:MM:SS (default: $LIFTGATE_TIME_LIMIT, else none)",
    )
    add_engine(parser)
    add_open_anyway(parser)
    add_overrides(parser)
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Run `liftgate run` and return its exit code."""
    from liftgate import api
    from liftgate.pipeline.control.deadline import parse_time_limit

    if args.prepare:
        return _prepare(args)
    time_limit = None if args.time_limit is None else parse_time_limit(args.time_limit)
    if args.detach:
        return _detach(args, time_limit)
    with progress() as screen, pausing() as pause:
        result = api.run(
            args.study,
            overrides=args.overrides,
            notify=NoticePrinter(screen),
            should_stop=pause.requested,
            time_limit=time_limit,
            engine=args.engine,
            progress=screen,
            open_anyway=reason_to_open(args),
        )
    if args.json:
        emit_json(
            {
                "verdicts": {name: verdict["word"] for name, verdict in result.verdicts.items()},
                "details": dict(result.verdicts),
                "mistakes": [dict(found.to_body()) for found in result.mistakes],
                "worth": [dict(found.to_body()) for found in result.worth],
                "report": str(result.report),
            }
        )
    else:
        show(*(line for found in result.mistakes for line in found.lines), *(found.text for found in result.worth))
        for verdict in result.verdicts.values():
            show(verdict["sentence"])
        show(f"report: {result.report}")
    return result.exit_code


def _prepare(args: argparse.Namespace) -> int:
    """Prepare the study; exit code 3 where `run` would stop at the errors of the check."""
    from liftgate import api

    limited = args.time_limit != (os.environ.get("LIFTGATE_TIME_LIMIT") or None)
    others = {
        "--detach": args.detach,
        "--engine": args.engine,
        "--open-anyway": reason_to_open(args),
        "--time-limit": limited,
    }
    if got := next((name for name, value in others.items() if value), None):
        raise UsageError("--prepare runs nothing and takes only --set and --json", got=got, hint=f"leave {got} out")
    with progress() as screen:
        prepared = api.prepare(args.study, overrides=args.overrides, progress=screen)
    code = 0 if prepared.ok else FindingsError.exit_code
    if args.json:
        emit_json(
            {
                "ok": prepared.ok,
                "issues": [issue.to_body() for issue in prepared.issues],
                "runs": [{"step": run.step, "folder": str(run.folder)} for run in prepared.runs],
                "waiting": [{"step": step, "why": why} for step, why in prepared.waiting],
            }
        )
        return code
    for issue in prepared.issues:
        show(f"{issue.severity:<8} {issue.id}  {issue.where}: {issue.message}")
    for run in prepared.runs:
        show(f"prepared  {run.step}: {run.folder}")
    for step, why in prepared.waiting:
        show(f"waiting   {step}: {why}")
    count = sum(issue.severity == "error" for issue in prepared.issues)
    show(f"next: liftgate run {args.study}" if prepared.ok else f"not ok: `liftgate run` would stop at {count} errors")
    return code


def _detach(args: argparse.Namespace, time_limit: float | None) -> int:
    from liftgate import api

    begun = api.detach(
        args.study,
        overrides=args.overrides,
        time_limit=time_limit,
        engine=args.engine,
        open_anyway=reason_to_open(args),
    )
    if args.json:
        emit_json(
            {
                "pid": begun.owner.pid if begun.owner else None,
                "log": str(begun.log),
                "scope": begun.scope,
                "awake": begun.awake,
            }
        )
        return 0
    show(f"running as process {begun.owner.pid}" if begun.owner else "it has ended already")
    show(*(f"  liftgate {verb} {args.study}" for verb in ("status", "logs -f", "stop")))
    say(f"log: {begun.log}")
    if not begun.awake:
        say("hint: nothing here keeps the machine awake (no systemd-inhibit that works): see that it does not sleep")
    return 0


class Pause:
    """A request to pause: the first signal requests it, a second Ctrl-C or SIGTERM stops immediately."""

    def __init__(self) -> None:
        self._requested = False

    def requested(self) -> bool:
        """Return whether a pause is requested."""
        return self._requested

    def handle(self, number: int, frame: FrameType | None) -> None:
        """Handle a signal: request the pause, or stop at once where one is requested already."""
        if number == signal.SIGHUP:
            _redirect_output_to_devnull()
        elif self._requested:
            raise KeyboardInterrupt
        self._requested = True
        say("", "pausing after this epoch; once more stops at once. The same command goes on.")


@contextmanager
def pausing() -> Iterator[Pause]:
    """Turn Ctrl-C, SIGTERM and a closed terminal into a pause at the next epoch boundary.

    A closed terminal is ignored if the process ignores it already (`nohup`).
    """
    pause = Pause()
    before = {
        number: signal.signal(number, pause.handle)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        if number != signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN
    }
    try:
        yield pause
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _redirect_output_to_devnull() -> None:
    """Send what is printed from now on to /dev/null: writing to a closed terminal would fail during the pause."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        # isatty() is False for a closed terminal, which still is a character device.
        if stat.S_ISCHR(os.fstat(stream).st_mode):
            os.dup2(nowhere, stream)
    os.close(nowhere)

"""Print output of all verbs: JSON on stdout, messages and progress on stderr."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
import time
from collections.abc import Iterator, Mapping
from typing import Any

from liftgate.cli.streams import note_json
from liftgate.errors import UsageError
from liftgate.visible import visible_line

_LARGE_JSON = 200_000


def add_json(parser: argparse.ArgumentParser) -> None:
    """Add --json to a verb."""
    parser.add_argument("--json", action="store_true", help="data as JSON on stdout")


def add_engine(parser: argparse.ArgumentParser) -> None:
    """Add `--engine NAME`."""
    parser.add_argument(
        "--engine",
        choices=("local", "slurm", "ray"),
        help="where trainings and predictions run (default: as the study says)",
    )


def add_overrides(parser: argparse.ArgumentParser) -> None:
    """Add --set KEY=VALUE to a verb; `args.overrides` becomes a dict, which begins with those of the environment."""
    parser.add_argument(
        "--set",
        dest="overrides",
        metavar="KEY=VALUE",
        action=_KeyValueAction,
        default=environment_overrides(os.environ),
        help="change a value of the study, e.g. arms.single.0.recipe.epochs=3 (also: $LIFTGATE_SET, one per line)",
    )


def add_open_anyway(parser: argparse.ArgumentParser) -> None:
    """Add --open-anyway --reason TEXT to a verb (the text may follow --open-anyway directly)."""
    parser.add_argument(
        "--open-anyway", nargs="?", const="", metavar="REASON",
        help="look at what a study locks, beyond what was declared; its ledger keeps who and why, and what is measured "
        "is marked contaminated",
    )  # fmt: skip
    parser.add_argument("--reason", help="why it is opened anyway")


def reason_to_open(args: argparse.Namespace) -> str | None:
    """Return the reason of --open-anyway; None: the option is not given.

    Raises:
        UsageError: one of the two options without the other.
    """
    if args.open_anyway is None and args.reason is None:
        return None
    reason = " ".join(text for text in (args.open_anyway, args.reason) if text).strip()
    if args.open_anyway is None or not reason:
        hint = '--open-anyway --reason "labels were corrected"'
        raise UsageError("--open-anyway and --reason go together", got=reason or "no reason", hint=hint)
    return reason


def environment_overrides(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the KEY=VALUE lines of LIFTGATE_SET and of LIFTGATE_SET_… in the order of their names.

    A study's keys have dots and dashes, which no shell allows in a name, so they are part of the value.

    >>> environment_overrides({"LIFTGATE_SET": "seeds=[0, 1]", "LIFTGATE_SET_JOB": "device=cpu"})
    {'seeds': '[0, 1]', 'device': 'cpu'}

    Raises:
        UsageError: a line has no `=`.
    """
    found: dict[str, str] = {}
    for name in sorted(environment):
        if name != "LIFTGATE_SET" and not name.startswith("LIFTGATE_SET_"):
            continue
        for line in environment[name].splitlines():
            if line.strip():
                key, value = _key_value(line.strip(), name)
                found[key] = value
    return found


def emit_json(value: object) -> None:
    """Print one JSON value on stdout; NaN is refused. Text that is not UTF-8 becomes escapes."""
    note_json()
    plain = (getattr(sys.stdout, "encoding", None) or "utf-8").lower() not in ("utf-8", "utf8")
    print(_indented(value, plain))


def _indented(value: object, plain: bool) -> str:
    """Return JSON with a line for each value; large ones in a third of the time of `json`, which indents in Python."""
    compact = json.dumps(value, ensure_ascii=plain, allow_nan=False, separators=(",", ":"))
    if len(compact) > _LARGE_JSON:
        import msgspec  # 0.02 s, as much as it saves of a few hundred kilobytes

        with contextlib.suppress(msgspec.MsgspecError, UnicodeError):  # half of a surrogate pair, in a name on a disk
            return msgspec.json.format(compact, indent=2)
    return json.dumps(value, indent=2, ensure_ascii=plain, allow_nan=False)


def show(*lines: object) -> None:
    """Print lines on stdout; what a name of another person hides, such as a line break, becomes a visible escape."""
    print("\n".join(visible_line(str(line)) for line in lines))


def say(*lines: str) -> None:
    """Print lines of a message on stderr, as `show` does."""
    print("\n".join(map(visible_line, lines)), file=sys.stderr)


@contextlib.contextmanager
def progress() -> Iterator[Screen]:
    """Yield a Screen: progress bars with the time left on a terminal, occasional lines elsewhere."""
    screen = Bars() if sys.stderr.isatty() else Lines()
    with screen:
        yield screen


class Screen(contextlib.AbstractContextManager["Screen"]):
    """A `liftgate.progress.Progress` that can also print messages between its bars."""

    def __call__(self, what: str, done: int, total: int, detail: str = "") -> None:
        """Show that `done` of `total` items are done."""
        raise NotImplementedError

    def begin(self, what: str) -> None:
        """Show work of unknown length; a bar of the same name replaces it."""

    def end(self, what: str) -> None:
        """Remove what `begin` showed."""

    def say(self, text: str) -> None:
        """Print a message."""
        say(text)

    def __exit__(self, *_: object) -> None:
        return None


class Bars(Screen):
    """A progress bar for each piece of work, removed at its end; none for work under half a second."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeElapsedColumn,
            TimeRemainingColumn,
        )

        self._bars = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[detail]}", markup=False),
            console=Console(stderr=True),
            transient=True,
        )
        self._tasks: dict[str, Any] = {}
        self._begun: dict[str, float] = {}

    def __enter__(self) -> Screen:
        self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bars.stop()

    def __call__(self, what: str, done: int, total: int, detail: str = "") -> None:
        """Update the bar of the work."""
        what, detail = visible_line(what), visible_line(detail)
        begun = self._begun.setdefault(what, time.monotonic())
        if what not in self._tasks:
            if time.monotonic() - begun < 0.5 and not detail:
                return
            self._tasks[what] = self._bars.add_task(what, total=total, detail=detail)
        self._bars.update(self._tasks[what], completed=done, total=total, detail=detail)
        if done >= total:
            self.end(what)

    def begin(self, what: str) -> None:
        """Show work of unknown length."""
        self._tasks[what] = self._bars.add_task(what, total=None, detail="")

    def end(self, what: str) -> None:
        """Remove its bar."""
        if what in self._tasks:
            self._bars.remove_task(self._tasks.pop(what))
            self._begun.pop(what, None)

    def say(self, text: str) -> None:
        """Print a message above the bars."""
        self._bars.console.print(visible_line(text), markup=False, highlight=False, soft_wrap=True)


class Lines(Screen):
    """Progress as lines, for logs: at most one in ten seconds for each piece of work, those with detail at once."""

    def __init__(self) -> None:
        self._last: dict[str, float] = {}

    def __call__(self, what: str, done: int, total: int, detail: str = "") -> None:
        """Print a line where one is due."""
        now = time.monotonic()
        last = self._last.setdefault(what, now)
        if detail or now - last >= 10:
            say(f"  {what}: {done} of {total}" + (f"  {detail}" if detail else ""))
            self._last[what] = now


class _KeyValueAction(argparse.Action):
    def __call__(self, parser: Any, namespace: Any, values: Any, option_string: str | None = None) -> None:
        key, value = _key_value(str(values), "--set")
        setattr(namespace, self.dest, {**getattr(namespace, self.dest), key: value})


def _key_value(text: str, where: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals:
        raise UsageError(f"{where} needs KEY=VALUE", got=key, hint="for example seeds=[0,1,2]")
    return key, value

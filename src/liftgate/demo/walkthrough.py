"""Run `liftgate demo`: data, faults, repair, a study with two arms, verdict, report.

No result is hard-coded: all printed findings and verdicts come from this run.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import shutil
import textwrap
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple

from liftgate import api
from liftgate.checks.run import CheckResult
from liftgate.demo import demo_dataset
from liftgate.demo.repair import RepairedDataset, repair
from liftgate.errors import UsageError
from liftgate.pipeline.context import never
from liftgate.pipeline.notice import Notice, ignore_notice
from liftgate.progress import Progress, silent

_WIDTH = 46  # characters of an interval drawn in a terminal


class DemoResult(NamedTuple):
    """Result of the demo."""

    verdicts: Mapping[str, Mapping[str, Any]]
    """gate → its verdict, as the ledger has it"""
    report: Path
    study: Path
    seconds: float


def run_demo(
    folder: Path,
    say: Callable[[str], None],
    *,
    notify: Callable[[Notice], None] = ignore_notice,
    should_stop: Callable[[], bool] = never,
    progress: Progress = silent,
) -> DemoResult:
    """Run the demo in `folder`, and print each step; in a second run, finished work is not repeated.

    Raises:
        UsageError: an extra is missing, or `folder` has something else in it.
    """
    begun = time.monotonic()
    require_extras()
    require_demo_folder(folder)
    if note := busy_note():
        say(f"{note}\n")
    say("1. The data: real handwriting in drawn scenes")
    delivered = demo_dataset.build_dataset(folder / "delivered")
    say(
        f"   {delivered.n_images} frames of {delivered.n_videos} videos; "
        f"the classes are {', '.join(demo_dataset.CLASSES)}.\n"
        "   Frames of one video are near-copies, so Liftgate counts videos, not frames.\n"
    )
    say("2. Before any work: liftgate check")
    checked = api.check(delivered.data_yaml, groups=demo_dataset.GROUPS, progress=progress)
    print_findings(checked, folder, say)
    say("\n3. Repair, in a copy and not in the delivery")
    _print_repair(repair(delivered.data_yaml, folder / "mended", transposed=is_transposed(checked)), folder, say)
    study = _write_study(folder)
    say("\n4. Checked again, now with the study")
    print_findings(api.check(study, progress=progress), folder, say)
    say(
        "\n5. The question: should digits be mirrored while training? fliplr 0.5 is the default,\n"
        "   but a mirrored 2 looks much like a 5. Two arms that differ in this and nothing else."
    )
    with one_thread():
        result = api.run(study, notify=notify, should_stop=should_stop, progress=progress)
    say("\n6. The answer")
    for verdict in result.verdicts.values():
        print_verdict(verdict, say)
    seconds = time.monotonic() - begun
    say(f"\n   {seconds:.0f} s in all. The report, one file that works offline:\n   {result.report}")
    say(f"\n   Now change a word in {study} and `liftgate run` it:\n   only what depends on that word is done again.")
    return DemoResult(result.verdicts, result.report, study, seconds)


def interval_line(low: float, estimate: float, high: float, margin: float) -> str:
    """Draw an interval against 0 and a margin in characters.

    >>> interval_line(0.1, 0.2, 0.3, 0.05)
    '┼───────┊──────├───────────────●──────────────┤'
    """
    marks = [0.0, margin, low, estimate, high]
    least, most = min(marks), max(marks)

    def place(value: float) -> int:
        return round((value - least) / ((most - least) or 1) * _WIDTH)

    line = ["─"] * (_WIDTH + 1)
    for value, sign in ((margin, "┊"), (0.0, "┼"), (low, "├"), (high, "┤"), (estimate, "●")):
        line[place(value)] = sign
    return "".join(line)


def require_extras(extras: str = "demo,train", packages: Sequence[str] = ("sklearn", "ultralytics", "torch")) -> None:
    """Refuse to begin without the packages that a story needs.

    Args:
        extras: what installs them.
        packages: by their names in Python.

    Raises:
        UsageError: one is not installed.
    """
    missing = [name for name in packages if importlib.util.find_spec(name) is None]
    if missing:
        raise UsageError(
            f"the demo needs the extras {extras.replace(',', ', ')}",
            got=f"no {', '.join(missing)}",
            hint=f"pip install '.[{extras}]' in the clone of Liftgate",
        )


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Let child processes compute in one thread, unless OMP_NUM_THREADS says otherwise.

    The figures of the demo would depend on the number of threads.
    """
    if "OMP_NUM_THREADS" in os.environ:
        yield
        return
    os.environ["OMP_NUM_THREADS"] = "1"
    try:
        yield
    finally:
        os.environ.pop("OMP_NUM_THREADS", None)


def busy_note() -> str:
    """Return a sentence where other work on this machine will make the demo slow; empty: it is free enough."""
    load, processors = os.getloadavg()[0], os.cpu_count() or 1
    if load < processors:
        return ""
    return f"This machine is busy (load {load:.0f} on {processors} processors): it takes longer than on a free one."


def require_demo_folder(folder: Path) -> None:
    """Refuse a folder that has something else in it.

    Raises:
        UsageError: it is a file, or not empty and not of a demo.
    """
    if folder.exists() and not folder.is_dir():
        raise UsageError("the demo needs a folder", where=folder, got="a file")
    known = any((folder / name).is_dir() for name in ("delivered", "poses"))
    if folder.is_dir() and any(folder.iterdir()) and not known:
        raise UsageError("not empty, and not a demo's folder", where=folder, hint="liftgate demo ANOTHER_FOLDER")


def _write_study(folder: Path) -> Path:
    """Copy study and model beside the data; a study that was changed stays as it is."""
    files = resources.files("liftgate.demo") / "files"
    for name in ("study.yaml", "tiny.yaml"):
        if not (folder / name).exists():
            with resources.as_file(files / name) as source:
                shutil.copyfile(source, folder / name)
    return folder / "study.yaml"


def print_findings(result: CheckResult, folder: Path, say: Callable[[str], None]) -> None:
    """Print errors and warnings, with paths relative to the demo's folder."""
    root = f"{folder.absolute()}/"
    for finding in result.findings:
        if finding.severity == "info":
            continue
        where = finding.where.replace(root, "")
        said = textwrap.shorten(finding.message.replace(root, ""), 180, placeholder=" …")
        say(f"   {finding.severity:<8} {finding.id}  {where}")
        say(textwrap.fill(said, 96, initial_indent=" " * 12, subsequent_indent=" " * 12))
    counts = result.counts
    if result.ok:
        say(f"   No errors ({counts['warning']} warnings) in {result.n_images} images, {len(result.rules)} rules.")
    else:
        say(f"   {counts['error']} errors: `liftgate run` would stop here, before the first minute of training.")


def is_transposed(result: CheckResult) -> bool:
    """Return whether the check has found y written before x."""
    found = [one.data for one in result.findings if one.id == "labels.geometry" and one.severity == "error"]
    return any((one["answer"], one["transform"]) == ("does not fit", "transposed") for one in found)


def _print_repair(mended: RepairedDataset, folder: Path, say: Callable[[str], None]) -> None:
    if mended.transposed:
        say("   every label file: y was written before x, which no hyper-parameter corrects; exchanged back")
    if mended.in_pixels:
        first, *_, last = sorted(mended.in_pixels) * 2
        say(f"   {first} … {last}: rows in pixels, divided by the image's size")
    if mended.groups_in_several_splits:
        say(f"   {', '.join(mended.groups_in_several_splits)}: were in train and in test; split again, by video")
    split = mended.split
    shares = ", ".join(
        f"{name} {sum(place == name for place in split.assignment.values())} frames of "
        f"{len({split.groups[image] for image, place in split.assignment.items() if place == name})} videos"
        for name in ("train", "val", "test")
    )
    say(f"   {shares}\n   frozen in {(folder / 'mended' / 'split.csv')} (SHA-256 {split.sha256[:12]}…)")


def print_verdict(verdict: Mapping[str, Any], say: Callable[[str], None]) -> None:
    """Print a verdict, its interval as a line, and what limits it."""
    word = verdict["word"]
    said = f"{word}  (gate {verdict['gate']})  {verdict['sentence'].removeprefix(f'{word}: ')}"
    say("\n" + textwrap.fill(said, 96, initial_indent=" " * 3, subsequent_indent=" " * 5))
    compared = verdict.get("comparison")
    if compared is None:
        return
    low, high = compared["interval"]
    delta, margin = compared["delta"], compared["margin"]
    if low is not None and high is not None:
        say(f"\n     {interval_line(low, delta, high, margin)}")
        say(f"     ┼ no change   ┊ margin {margin:+g}   ├─●─┤ {low:+.4f}, {delta:+.4f}, {high:+.4f}")
    for caveat in verdict.get("caveats", ()):
        say(f"     ! {caveat}")

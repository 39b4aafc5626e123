"""`liftgate watch`: the champion on cameras, with the production log."""

from __future__ import annotations

import argparse
import contextlib
import shutil
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from liftgate.cli.output import add_json, emit_json, progress, say

if TYPE_CHECKING:
    from liftgate.deploy.watching.counts import CameraStatus


_CLEAR = "\r\x1b[K"
"""Begin the terminal's line again"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `liftgate watch`."""
    parser.add_argument(
        "sources", nargs="+", metavar="SOURCE",
        help="rtsp://, http://, tcp:// or udp:// address, a file, or a folder to which a recorder adds; NAME=SOURCE "
        "names its camera; $NAME in an address is taken from the environment",
    )  # fmt: skip
    parser.add_argument("--log", required=True, type=Path, metavar="FOLDER", help="keep what is found, never the image")
    parser.add_argument(
        "--model", metavar="MODEL", help="a version of the registry, or an export (default: the champion)"
    )
    parser.add_argument("--registry", type=Path, default=Path("models"), metavar="FOLDER", help="default: models")
    parser.add_argument("--export", metavar="NAME", help="export of the version (default: ONNX, highest precision)")
    parser.add_argument("--fps", type=float, default=4.0, help="frames a second of each camera (default: %(default)g)")
    parser.add_argument("--conf", type=float, default=0.25, help="least confidence (default: %(default)s)")
    parser.add_argument("--iou", type=float, help="limit of non-maximum suppression (default: the card's)")
    parser.add_argument("--max-det", type=int, metavar="N", help="most detections of a frame (default: the card's)")
    parser.add_argument("--threads", type=int, metavar="N", help="of one inference (default: the runtime's choice)")
    parser.add_argument("--keep-days", type=float, metavar="N", help="delete rows that are older")
    parser.add_argument("--keep-gb", type=float, metavar="GB", help="delete the oldest hours above this size")
    parser.add_argument("--quality-rules", type=Path, metavar="YAML", help="what makes a frame red or yellow")
    parser.add_argument("--once", action="store_true", help="of folders, read what is there and end")
    parser.add_argument(
        "--settle", type=float, default=30.0, metavar="SECONDS",
        help="a folder's newest file is complete when it was not written to for so long (default: %(default)g)",
    )  # fmt: skip
    parser.add_argument(
        "--status-every", type=float, default=10.0, metavar="SECONDS", help="between two lines (default: %(default)g)"
    )
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Run `liftgate watch` until it is told to stop or all files are read, and return its exit code."""
    from liftgate.deploy.serving.json_lines import JsonLines
    from liftgate.deploy.watching.counts import status_line
    from liftgate.deploy.watching.watcher import WatchSettings
    from liftgate.services.watching import watch

    terminal = sys.stderr if sys.stderr.isatty() else None
    lines = JsonLines()

    def show_status(found: Sequence[CameraStatus]) -> None:
        if terminal is None:
            for one in found:
                lines.write("status", asdict(one))
            return
        loading.close()  # its bar would write each line below the one before
        width = max(shutil.get_terminal_size().columns - 1, 20)
        terminal.write(f"{_CLEAR}{status_line(found)[:width]}")  # a line that wraps is not written over
        terminal.flush()

    def show_event(event: str, text: str) -> None:
        if terminal is not None:
            loading.close()
            terminal.write(_CLEAR)
        lines.write(event, {"text": text})

    with contextlib.ExitStack() as loading:
        bar = loading.enter_context(progress())
        result = watch(
            args.sources,
            args.log,
            model=args.model,
            registry=args.registry,
            export=args.export,
            conf=args.conf,
            iou=args.iou,
            max_det=args.max_det,
            threads=args.threads,
            settings=WatchSettings(args.fps, not args.once, args.settle, args.status_every),
            keep_days=args.keep_days,
            keep_gb=args.keep_gb,
            quality_rules=args.quality_rules,
            on_event=show_event,
            on_status=show_status,
            progress=bar,
        )
    if terminal is not None:
        terminal.write(_CLEAR)
    if args.json:
        emit_json(asdict(result))
    else:
        for one in result.cameras:
            say(one.line())
        say(f"{result.logged} rows in {args.log}" + (f", {result.not_logged} not logged" * bool(result.not_logged)))
    for text in result.failed:
        say(f"not read: {text}")
    return 1 if result.failed or result.not_logged else 0

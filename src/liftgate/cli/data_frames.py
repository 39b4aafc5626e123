"""`liftgate data frames SRC… --out DIR`: images out of videos, cameras and folders."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from liftgate.cli.data_source import add_terms, declared_terms_of
from liftgate.cli.output import add_json, emit_json, progress, say, show
from liftgate.cli.parser import at_least
from liftgate.errors import UsageError

if TYPE_CHECKING:
    from liftgate.data.video_frames import Request
    from liftgate.data.video_frames.records import Centre


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `liftgate data frames`."""
    parser.add_argument(
        "sources", nargs="+", metavar="SRC", help="videos, folders of videos or images, or one rtsp:// address"
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder for the frames and frames.csv")
    parser.add_argument("--every", default="5", metavar="TIME", help="seconds between frames (default 5)")
    window = parser.add_argument_group("window (of each video; a time is 90, 1:30 or 1:01:30)")
    window.add_argument("--start", metavar="TIME", help="begin here")
    window.add_argument("--end", metavar="TIME", help="end here")
    window.add_argument("--window", metavar="TIME", help="take so much of each video …")
    window.add_argument(
        "--centre",
        default=None,
        metavar="TIME|middle|motion",
        help="… around this time, the middle, or the most motion",
    )
    choice = parser.add_argument_group("which videos")
    choice.add_argument(
        "--per",
        action="append",
        default=[],
        metavar="STRATUM=N",
        help="at most N videos of each category, camera, day or camera-day; may be given again",
    )
    choice.add_argument("--seed", type=at_least(0), default=0, help="which ones --per takes (default 0)")
    choice.add_argument("--category", default="folder", metavar="folder|REGEX", help="names a video's category")
    choice.add_argument("--camera", metavar="folder|REGEX|NAME", help="names its camera (default: cam… in the name)")
    live = parser.add_argument_group("rolling buffers and cameras")
    live.add_argument("--buffer", action="store_true", help="the videos are segments that a recorder writes and drops")
    live.add_argument("--newest", type=int, metavar="N", help="with --buffer: the newest N complete segments only")
    live.add_argument("--for", dest="seconds", metavar="TIME", help="with an rtsp:// address: how long to record")
    parser.add_argument("--quality", type=int, default=95, help="JPEG quality (default 95)")
    parser.add_argument("--group", choices=["video", "camera-day"], help="what must stay together in a split")
    parser.add_argument("--workers", type=int, metavar="N", help="threads to use (default: two for each core)")
    add_terms(parser)
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Run `liftgate data frames` and return its exit code."""
    from liftgate.data.video_frames import record_camera
    from liftgate.data.video_frames.live import Camera, is_address
    from liftgate.data.video_frames.origin import frames_terms, write_frames_card
    from liftgate.data.video_frames.records import findings
    from liftgate.data.video_frames.sources import RollingBuffer
    from liftgate.data.video_frames.times import parse_time
    from liftgate.services.frames import frames

    request = _request(args)
    with progress() as screen:
        if any(is_address(text) for text in args.sources):
            if len(args.sources) > 1 or args.seconds is None:
                raise UsageError(
                    "a camera is recorded alone and for a time", hint="one rtsp:// address and --for 10:00"
                )
            terms = frames_terms(args.out, [], declared_terms_of(args))
            outcome = record_camera(
                Camera.parse(args.sources[0]),
                args.out,
                request,
                seconds=parse_time(args.seconds),
                name=args.camera,
                progress=screen,
            )
            write_frames_card(outcome, request, terms)
        else:
            if args.newest is not None and not (args.buffer and args.newest > 0):
                raise UsageError("--newest needs --buffer and a positive number")
            outcome = frames(
                args.sources,
                args.out,
                request,
                per=args.per,
                seed=args.seed,
                camera=args.camera,
                category=args.category,
                buffer=RollingBuffer(args.newest) if args.buffer else None,
                terms=declared_terms_of(args),
                workers=args.workers,
                progress=screen,
            )
    found = findings(outcome.faults)
    for finding in found:
        say(f"{finding['severity']} {finding['id']}  {finding['where']}")
        say(f"  {finding['message']}", f"  hint: {finding['hint']}")
    if args.json:
        emit_json(
            {
                "manifest": str(outcome.manifest),
                "n_frames": len(outcome.frames),
                "n_written": outcome.n_written,
                "n_repeated": outcome.n_repeated,
                "n_groups": len({row.group for row in outcome.frames}),
                "n_sources": outcome.n_sources,
                "findings": found,
            }
        )
    else:
        groups = len({row.group for row in outcome.frames})
        counted = f"{len(outcome.frames)} frames in {groups} group{'s' * (groups != 1)}"
        show(f"{counted}, {outcome.n_written} of them new: {outcome.manifest}")
        if outcome.n_repeated:
            show(f"{outcome.n_repeated} requests fell on a frame that was taken already")
    return 0 if outcome.frames else 1


def _request(args: argparse.Namespace) -> Request:
    from liftgate.data.video_frames import Request, Window
    from liftgate.data.video_frames.times import parse_time

    centre: Centre = "middle"
    if args.centre is not None:
        centre = args.centre if args.centre in ("middle", "motion") else parse_time(args.centre)
    if args.centre is not None and args.window is None:
        raise UsageError("--centre needs --window", hint="for example --window 60 --centre motion")
    window = Window(
        start=parse_time(args.start) if args.start else 0.0,
        end=parse_time(args.end) if args.end else None,
        length=parse_time(args.window) if args.window else None,
        centre=centre,
    )
    return Request(parse_time(args.every), window, args.quality, args.group)

"""`liftgate data fetch WORKSPACE/PROJECT/VERSION (or a zip) --out DIR`: a data set version from Roboflow."""

from __future__ import annotations

import argparse
from pathlib import Path

from liftgate.cli.output import add_json, emit_json, progress, say, show


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `liftgate data fetch`."""
    parser.add_argument(
        "version",
        metavar="WORKSPACE/PROJECT/VERSION",
        help="on Roboflow, with its key in ROBOFLOW_API_KEY; or the zip of an export that is here already",
    )
    parser.add_argument("--format", default="yolov8", help="yolov8 (default), coco, voc … as Roboflow calls them")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="a new folder")
    parser.add_argument("--server", default=None, metavar="URL", help="another address of the API")
    parser.add_argument("--study", type=Path, metavar="STUDY", help="the study it is for: refused where confidential")
    parser.add_argument("--confidential", action="store_true", help="the study it is for is confidential")
    parser.add_argument("--allow-remote", action="append", default=[], metavar="HOST", help="may be contacted")
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Run `liftgate data fetch` and return its exit code."""
    from liftgate.data.remote.roboflow import SERVER, fetch, unpack_export

    if args.version.lower().endswith(".zip"):  # a version ends with its number
        got = unpack_export(Path(args.version), args.out)
    else:
        with progress() as bar:
            got = fetch(
                args.version,
                args.out,
                form=args.format,
                server=args.server or SERVER,
                confidential=args.confidential or (args.study is not None and _confidential(args.study)),
                allowed=args.allow_remote,
                progress=bar,
            )
    if args.json:
        emit_json({"folder": str(got.folder), "version": got.version, "sha256": got.sha256, "bytes": got.size})
    else:
        show(got.folder)
        say(f"{got.version}: {got.size:,} bytes, sha256 {got.sha256}")
    return 0


def _confidential(study: Path) -> bool:
    from liftgate.study.study_file import load

    return any(dataset.confidential for dataset in load(study).datasets)

"""`liftgate serve`: a model's detections over HTTP."""

from __future__ import annotations

import argparse
from pathlib import Path

from liftgate.cli.output import progress


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `liftgate serve`."""
    parser.add_argument(
        "model", nargs="?", metavar="MODEL",
        help="a version of the registry, or an export: a folder, an .onnx, an .xml (default: the champion)",
    )  # fmt: skip
    parser.add_argument("--registry", type=Path, default=Path("models"), metavar="FOLDER", help="default: models")
    parser.add_argument("--export", metavar="NAME", help="export of the version (default: ONNX, highest precision)")
    parser.add_argument("--host", default="127.0.0.1", help="others than this machine need a token: %(default)s")
    parser.add_argument("--port", type=int, default=8000, help="0: any free one (default: %(default)s)")
    parser.add_argument(
        "--token-file", type=Path, metavar="FILE", help="its first line is the token; or $LIFTGATE_SERVE_TOKEN"
    )
    parser.add_argument("--conf", type=float, default=0.25, help="least confidence (default: %(default)s)")
    parser.add_argument("--iou", type=float, help="limit of non-maximum suppression (default: the card's)")
    parser.add_argument("--max-det", type=int, metavar="N", help="most detections of an image (default: the card's)")
    log = parser.add_argument_group("production log", "a row for every image, never the image")
    log.add_argument("--log", type=Path, metavar="FOLDER", help="keep what is found; `data sample --champion` reads it")
    log.add_argument("--keep-days", type=float, metavar="N", help="delete rows that are older")
    log.add_argument("--keep-gb", type=float, metavar="GB", help="delete the oldest hours above this size")
    log.add_argument("--quality-rules", type=Path, metavar="YAML", help="what makes an image red or yellow")
    limits = parser.add_argument_group("limits")
    limits.add_argument("--queue", type=int, default=64, metavar="N", help="requests that wait; more get 503: 64")
    limits.add_argument("--batch", type=int, default=8, metavar="N", help="most images in one run of the model: 8")
    limits.add_argument("--max-body-mb", type=float, default=20.0, metavar="MB", help="largest body: 20")
    limits.add_argument("--max-pixels", type=int, default=50_000_000, metavar="N", help="largest image: 50 million")
    limits.add_argument(
        "--timeout", type=float, default=10.0, metavar="SECONDS", help="for the headers, then for the body: 10"
    )
    limits.add_argument("--threads", type=int, metavar="N", help="of one inference (default: the runtime's choice)")


def run(args: argparse.Namespace) -> int:
    """Run `liftgate serve` until it is told to stop, and return its exit code."""
    from liftgate.services.serving import serve

    with progress() as bar:
        serve(
            args.model,
            registry=args.registry,
            export=args.export,
            host=args.host,
            port=args.port,
            token_file=args.token_file,
            conf=args.conf,
            iou=args.iou,
            max_det=args.max_det,
            queue=args.queue,
            batch=args.batch,
            max_body_mb=args.max_body_mb,
            max_pixels=args.max_pixels,
            timeout=args.timeout,
            log=args.log,
            keep_days=args.keep_days,
            keep_gb=args.keep_gb,
            quality_rules=args.quality_rules,
            threads=args.threads,
            progress=bar,
        )
    return 0

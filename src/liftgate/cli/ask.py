"""`liftgate ask`: get predictions of an HTTP API on a truth set."""

from __future__ import annotations

import argparse
from pathlib import Path

from liftgate.cli.output import add_json, emit_json, progress, say, show
from liftgate.errors import UsageError


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `liftgate ask`."""
    parser.add_argument("--truth", required=True, type=Path, help="COCO JSON, data.yaml or VOC folder: its images")
    parser.add_argument("--split", help="split to ask about (default: val, where the truth has one)")
    parser.add_argument("--images", type=Path, metavar="DIR", help="folder of the images, where labels do not name it")
    parser.add_argument("--api-url", required=True, metavar="URL", help="where images are posted")
    parser.add_argument("--mapping", required=True, type=Path, help="how images are posted and answers read (YAML)")
    parser.add_argument(
        "--out", required=True, type=Path, metavar="JSON", help="COCO results; the raw answers are saved next to it"
    )
    parser.add_argument("--rate", metavar="N/s", help="requests at most: 2/s, 30/min")
    parser.add_argument("--at-once", type=int, default=1, help="requests in flight (default: %(default)s)")
    parser.add_argument("--tries", type=int, default=5, help="for each image (default: %(default)s)")
    parser.add_argument("--timeout", type=float, default=30.0, help="seconds for an answer (default: %(default)g)")
    parser.add_argument(
        "--header", action="append", default=[], metavar="NAME=VARIABLE", help="a header from an environment variable"
    )
    parser.add_argument("--partial", action="store_true", help="write what was answered where some images fail")
    parser.add_argument(
        "--allow-folder", action="append", default=[], type=Path, metavar="DIR",
        help="images may be sent from here too; otherwise only from the data set's own folders",
    )  # fmt: skip
    parser.add_argument("--confidential", action="store_true", help="the images may not leave this machine")
    parser.add_argument("--allow-remote", action="append", default=[], metavar="HOST", help="confidential ones may go")
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Run `liftgate ask` and return its exit code."""
    from liftgate.data.remote.hosts import plain_http_warning
    from liftgate.deploy.remote_predictions import RequestPolicy, predict_api_files
    from liftgate.deploy.remote_predictions.rate_limit import parse_rate

    rate = None if args.rate is None else parse_rate(args.rate)
    policy = RequestPolicy(rate, args.at_once, args.tries, args.timeout)
    if note := plain_http_warning(args.api_url):
        say(f"note: {note}")
    with progress() as bar:
        result = predict_api_files(
            args.truth,
            args.api_url,
            args.mapping,
            args.out,
            split=args.split,
            images=args.images,
            confidential=args.confidential,
            policy=policy,
            headers=dict(parse_header(text) for text in args.header),
            allowed_hosts=args.allow_remote,
            allowed_folders=args.allow_folder,
            partial=args.partial,
            progress=bar,
        )
    counts = {
        "n_images": len(result.predictions.images),
        "n_detections": len(result.predictions),
        "n_asked": result.n_asked,
        "n_saved": result.n_saved,
        "failed": dict(result.failed),
    }
    if args.json:
        emit_json({"out": str(args.out), **counts, "p50_ms": result.p50_ms, "p95_ms": result.p95_ms})
        return 0
    show(args.out)
    say(f"{counts['n_images']} images, {counts['n_detections']} detections; {result.n_saved} answers were saved before")
    if result.p50_ms is not None:
        say(f"per image: median {result.p50_ms:.0f} ms, 95% within {result.p95_ms:.0f} ms, {args.at_once} at once")
    for image, why in list(result.failed.items())[:5]:
        say(f"no answer for {image}: {why}")
    return 0


def parse_header(text: str) -> tuple[str, str]:
    """Return the name of a header and the environment variable that holds its value.

    Raises:
        UsageError: it is not NAME=VARIABLE.
    """
    name, equals, variable = text.partition("=")
    if not equals or not variable.isidentifier():
        # The text may be the key itself, so it is not repeated.
        raise UsageError("--header needs NAME=VARIABLE", hint="--header Authorization=MY_KEY, where $MY_KEY holds it")
    return name, variable

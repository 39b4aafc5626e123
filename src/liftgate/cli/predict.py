"""`liftgate predict`: detections of any model on any images."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from liftgate.cli.output import add_json, emit_json, progress, say, show
from liftgate.errors import UsageError

if TYPE_CHECKING:
    from liftgate.pipeline.model_predictions import PredictionResult


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `liftgate predict`."""
    parser.add_argument(
        "model", metavar="MODEL", help="a .pt, an export's folder, an .onnx or an OpenVINO .xml; with --api an address"
    )
    parser.add_argument(
        "images", type=Path, metavar="IMAGES", help="a folder of images, one image, a frames.csv or a data set"
    )
    parser.add_argument(
        "--out", required=True, type=Path, metavar="JSON", help="COCO results, for evaluate and compare"
    )
    parser.add_argument("--page", type=Path, metavar="HTML", help="also write a page with pictures of what was found")
    parser.add_argument("--split", help="split of a data set (default: all its images)")
    parser.add_argument("--conf", type=float, help="least confidence (default: 0.001, as mAP needs, or the card's)")
    parser.add_argument("--iou", type=float, help="limit of non-maximum suppression (default: 0.7, or the card's)")
    parser.add_argument("--max-det", type=int, metavar="N", help="most detections of an image (default: 300)")
    parser.add_argument("--imgsz", type=int, help="size of the input of a .pt (default: that of its training)")
    parser.add_argument("--device", help="of a .pt: cpu, 0, … (default: the first GPU, else the CPU)")
    parser.add_argument("--classes", metavar="A,B,…", help="names in the model's order, for an export that has none")
    api = parser.add_argument_group("a server of `liftgate serve`: predict --api URL IMAGES --out JSON")
    api.add_argument("--api", action="store_true", help="MODEL is the address of a server, without a route")
    api.add_argument(
        "--token-file", type=Path, metavar="FILE", help="its first line is the token; or $LIFTGATE_SERVE_TOKEN"
    )
    api.add_argument("--at-once", type=int, metavar="N", help="requests in flight (default: 1)")
    api.add_argument("--timeout", type=float, metavar="SECONDS", help="for an answer (default: 30)")
    api.add_argument(
        "--allow-folder", action="append", default=[], type=Path, metavar="DIR",
        help="images may be sent from here too; otherwise only from the data set's own folders",
    )  # fmt: skip
    api.add_argument("--confidential", action="store_true", help="the images may not leave this machine")
    api.add_argument("--allow-remote", action="append", default=[], metavar="HOST", help="confidential ones may go")
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Run `liftgate predict` and return its exit code."""
    if args.api:
        return _through_server(args)
    _refuse(
        args,
        "--api URL",
        token_file=None,
        at_once=None,
        timeout=None,
        confidential=False,
        allow_folder=[],
        allow_remote=[],
    )
    from liftgate.services.prediction import predict

    with progress() as bar:
        result = predict(
            args.model,
            args.images,
            args.out,
            split=args.split,
            conf=args.conf,
            iou=args.iou,
            max_det=args.max_det,
            imgsz=args.imgsz,
            device=args.device,
            classes=[name.strip() for name in args.classes.split(",")] if args.classes else (),
            page=args.page,
            progress=bar,
        )
    _report(args, result)
    return 0


def _through_server(args: argparse.Namespace) -> int:
    from liftgate.data.remote.hosts import plain_http_warning
    from liftgate.deploy.remote_predictions.request_queue import RequestPolicy
    from liftgate.services.served_prediction import predict_api

    _refuse(args, "the server's own", iou=None, max_det=None, imgsz=None, device=None, classes=None)
    if note := plain_http_warning(args.model):
        say(f"note: {note}")
    default = RequestPolicy()
    policy = RequestPolicy(at_once=args.at_once or default.at_once, timeout=args.timeout or default.timeout)
    with progress() as bar:
        served = predict_api(
            args.model,
            args.images,
            args.out,
            split=args.split,
            conf=args.conf,
            token_file=args.token_file,
            policy=policy,
            confidential=args.confidential,
            allowed_hosts=args.allow_remote,
            allowed_folders=args.allow_folder,
            page=args.page,
            progress=bar,
        )
    _report(
        args, served.result, n_asked=served.n_asked, n_saved=served.n_saved, p50_ms=served.p50_ms, p95_ms=served.p95_ms
    )
    if not args.json:
        say(f"all by {served.result.predictions.settings['model_version']}; each answer is in {served.answers}")
    return 0


def _refuse(args: argparse.Namespace, expected: str, **unset: object) -> None:
    """Refuse options that mean nothing here.

    Raises:
        UsageError: one of them is given.
    """
    given = [name for name, value in unset.items() if getattr(args, name) != value]
    if given:
        raise UsageError(f"--{given[0].replace('_', '-')} means nothing here", expected=expected)


def _report(args: argparse.Namespace, result: PredictionResult, **more: object) -> None:
    found = result.predictions
    counts, conf = {"n_images": len(found.images), "n_detections": len(found)}, found.settings["conf"]
    if args.json:
        settings = {name: value for name, value in found.settings.items() if name != "images"}
        page = {} if args.page is None else {"page": str(args.page)}
        emit_json({"out": str(args.out), **page, **counts, "settings": settings, "notes": list(result.notes), **more})
        return
    show(args.out)
    if args.page is not None:
        show(args.page)
    say(f"{counts['n_images']} images, {counts['n_detections']} detections with confidence {conf:g} or more")
    for note in result.notes:
        say(f"note: {note}")

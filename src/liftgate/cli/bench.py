"""`liftgate bench MODEL …`: time, memory and energy of models side by side."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from liftgate.cli.output import add_json, add_open_anyway, emit_json, progress, reason_to_open, say, show
from liftgate.errors import UsageError

if TYPE_CHECKING:
    from liftgate.deploy.bench.records import BatchSpeed, BenchResult, ModelSpeed, SpeedRatio


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `liftgate bench`."""
    parser.add_argument("models", nargs="+", metavar="MODEL", help="a .pt or an export; the first is the reference")
    parser.add_argument("--images", type=Path, help="a folder, an image or a data set (default: the truth's, or noise)")
    parser.add_argument("--batch", default="1,2,8", metavar="N,N,…", help="images of one request (default: 1,2,8)")
    parser.add_argument("--blocks", type=int, default=10, metavar="N", help="of each model and batch (default: 10)")
    parser.add_argument("--seconds", type=float, default=0.5, help="of a block (default: 0.5)")
    parser.add_argument("--threads", type=int, metavar="N", help="of one inference, pinned to cores (default: all)")
    parser.add_argument("--conf", type=float, default=0.25, help="least confidence, as in use (default: 0.25)")
    parser.add_argument("--imgsz", type=int, help="size of the input of a .pt (default: that of its training)")
    parser.add_argument("--device", help="of a .pt: cpu, 0, …")
    parser.add_argument("--truth", type=Path, help="a data set to measure accuracy on")
    parser.add_argument("--split", help="of the truth (default: val, where it has one)")
    parser.add_argument("--groups", metavar="RULE", help="groups of the truth's images, as in evaluate")
    parser.add_argument("--metric", default="mAP50-95", help="accuracy of the picture (default: mAP50-95)")
    parser.add_argument("--picture", type=Path, metavar="SVG", help="write accuracy over latency, with both intervals")
    add_open_anyway(parser)
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Run `liftgate bench` and return its exit code."""
    from liftgate import api

    with progress() as bars:
        result = api.bench(
            args.models,
            images=args.images,
            batches=_batches(args.batch),
            blocks=args.blocks,
            seconds=args.seconds,
            threads=args.threads,
            conf=args.conf,
            imgsz=args.imgsz,
            device=args.device,
            truth=args.truth,
            split=args.split,
            groups=args.groups,
            metric=args.metric,
            picture=args.picture,
            open_anyway=reason_to_open(args),
            progress=bars,
        )
    if args.json:
        emit_json(result.to_dict())
        return 0
    _show(result)
    if args.picture is not None:
        say(f"picture: {args.picture}")
    return 0


def _batches(text: str) -> list[int]:
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise UsageError("--batch takes numbers", got=text, expected="such as 1,2,8") from None


def _show(result: BenchResult) -> None:
    machine = result.machine
    load = "unknown" if machine.load is None else f"{machine.load:.1f}"
    pinned, several = ", ".join(map(str, machine.pinned_to)), "s" * (machine.threads > 1)
    threads = f"{machine.threads} thread{several} on core{several} {pinned} of {machine.cores}"
    show(f"{machine.processor}, {threads}; load before {load}")
    show(f"given: {result.images}; detections from confidence {result.conf:g}")
    for model in result.models:
        _show_model(model)
    show()
    for ratio in result.ratios:
        show(_ratio_line(ratio))
    for one in result.accuracy:
        show(f"{one.model}: {one.metric} {one.value}")
    say(f"energy: {result.energy}")


def _show_model(model: ModelSpeed) -> None:
    show()
    show(f"{model.name}: {model.format} {model.precision}, {model.runtime}, input {model.input}")
    show(
        f"  {model.size_bytes / 1e6:.1f} MB on disk, {model.memory_mb:.0f} MB resident (at most "
        f"{model.peak_memory_mb:.0f}), loaded in {model.load_seconds:.1f} s, first request {model.first_ms:.1f} ms, "
        f"{model.warm_up_calls} requests of warm-up"
    )
    widths = {"p50": 8, "p95": 8, "p99": 8, "images/s": 9, "pre": 7, "model": 8, "post": 7, "CPU ms": 8}
    show("  batch " + " ".join(f"{name:>{width}}" for name, width in widths.items()))
    for one in model.batches:
        p99 = "–" if one.p99_ms is None else f"{one.p99_ms:.2f}"
        show(
            f"  {one.batch:>5} {one.p50_ms:>8.2f} {one.p95_ms:>8.2f} {p99:>8} {one.images_per_second:>9.1f} "
            f"{one.pre_ms:>7.2f} {one.inference_ms:>8.2f} {one.post_ms:>7.2f} {one.cpu_ms_per_image:>8.2f}"
            + ("" if one.joules_per_image is None else f"  {one.joules_per_image:.3f} J per image")
        )
    for one in model.batches:
        show(f"  batch {one.batch}: {_interval_text(one)}")
    if model.batches[0].batch == 1:
        show(f"  MLPerf's single-stream figure (p90 at batch 1): {model.batches[0].p90_ms:.2f} ms")
    last = model.batches[-1]
    if last.batch > 1:
        show(f"  MLPerf's offline figure (throughput, batch {last.batch}): {last.images_per_second:.1f} images/s")
    for text in model.missing:
        say(f"note: {model.name} does not say {text}")
    for text in model.notes:
        say(f"note: {model.name}: {text}")


def _interval_text(one: BatchSpeed) -> str:
    from liftgate.deploy.bench.records import timing_basis

    value = one.ms_per_image
    bounds = f" [{value.low:.2f}, {value.high:.2f}]" if value.established else ""
    return f"{value.estimate:.2f} ms per image{bounds} ({timing_basis(value)})"


def _ratio_line(one: SpeedRatio) -> str:
    bounds = f" [{one.ratio.low:.3f}, {one.ratio.high:.3f}]" if one.ratio.established else ", no interval"
    text = f"batch {one.batch}: time of {one.model} / {one.reference}: {one.ratio.estimate:.3f}{bounds}"
    return f"{text}: {one.word} (A/A {one.same_model.estimate:.3f})"

"""`liftgate shadow start / status / report / stop`: a challenger beside the champion, without labels."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from liftgate.cli.output import add_json, emit_json, say, show

if TYPE_CHECKING:
    from liftgate.services.shadow import ShadowResult


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `liftgate shadow`."""
    actions = parser.add_subparsers(metavar="ACTION", required=True, dest="action")
    start = actions.add_parser("start", help="let a version see the requests of a running `serve --log`")
    start.add_argument("version", metavar="VERSION", help="the challenger: v0.1, …")
    start.add_argument("--registry", type=Path, default=Path("models"), metavar="FOLDER", help="default: models")
    start.add_argument("--export", metavar="NAME", help="of the version (default: as `serve` chooses)")
    start.add_argument("--hours", type=float, default=24.0, help="at most (default: 24)")
    start.add_argument("--alpha", type=float, default=0.05, help="accepted rate of false `different` (default: 0.05)")
    start.add_argument(
        "--keep-frames-days", type=float, default=14.0, metavar="N",
        help="keep frames with a disagreement so long; 0: none (default: 14)",
    )  # fmt: skip
    start.add_argument("--warm-up-minutes", type=int, default=720, metavar="N", help="to measure the scene: 720")
    start.add_argument("--least-block-minutes", type=int, default=15, metavar="N", help="shortest block: 15")
    start.add_argument("--most-memory-mb", type=int, default=4096, metavar="MB", help="of the challenger: 4096")
    start.add_argument("--niceness", type=int, default=19, metavar="N", help="of the challenger: 19, the lowest")
    status = actions.add_parser("status", help="what the newest test says by now; look as often as you like")
    report = actions.add_parser("report", help="its page, and what `judge` needs")
    report.add_argument("--out", required=True, type=Path, metavar="DIR", help="a new folder")
    stop = actions.add_parser("stop", help="end it")
    for action in (start, status, report, stop):
        action.add_argument("--log", required=True, type=Path, metavar="FOLDER", help="of `liftgate serve --log`")
        add_json(action)


def run(args: argparse.Namespace) -> int:
    """Run `liftgate shadow` and return its exit code."""
    import liftgate

    if args.action == "start":
        test = liftgate.shadow_start(
            args.version, args.log, registry=args.registry, export=args.export, hours=args.hours, alpha=args.alpha,
            keep_frames_days=args.keep_frames_days, warm_up_minutes=args.warm_up_minutes,
            least_block_minutes=args.least_block_minutes, most_memory_mb=args.most_memory_mb,
            niceness=args.niceness,
        )  # fmt: skip
        if args.json:
            emit_json({"folder": str(test.folder), "challenger": test.request.challenger})
            return 0
        show(f"started {datetime.fromtimestamp(test.request.started, UTC):%Y-%m-%d %H:%M:%S}Z: {test.folder}")
        say("the server that writes this log takes it up within a second", f"`liftgate shadow status --log {args.log}`")
        return 0
    if args.action == "stop":
        test = liftgate.shadow_stop(args.log)
        if args.json:
            emit_json({"folder": str(test.folder), "challenger": test.request.challenger})
        else:
            show(f"stopped: {test.folder}")
        return 0
    if args.action == "report":
        return _print(liftgate.shadow_report(args.log, args.out), args)
    return _print(liftgate.shadow_status(args.log), args)


def _print(result: ShadowResult, args: argparse.Namespace) -> int:
    finding, state = result.finding, result.test.state
    if args.json:
        rate = finding.rate
        emit_json(
            {
                "challenger": result.test.request.challenger,
                "status": state.status,
                "reason": state.reason,
                "offered": state.offered,
                "shed": state.shed,
                "answer": finding.answer,
                "e_value": finding.e_value,
                "alpha": finding.alpha,
                "settled_after_minutes": finding.settled_after_minutes,
                "tau_minutes": finding.tau_minutes,
                "block_minutes": finding.block_minutes,
                "n_blocks": finding.n_blocks,
                "chance_of_three_points": finding.chance,
                "days_needed": finding.days_needed,
                "disagreement_rate": None if rate is None else rate.estimate,
                "disagreement_interval": None if rate is None or rate.low is None else [rate.low, rate.high],
                "folder": str(result.test.folder),
            }
        )
        return 0
    show(*result.sentences)
    if args.action == "report":
        show(f"wrote {args.out / 'report.html'}")
        if (args.out / "champion.json").exists():
            where, pair = args.out, f"{args.out}/champion.json {args.out}/challenger.json"
            show(f"liftgate judge {pair} --images {where}/frames --out {where}/judging")
    return 0

"""`liftgate ledger show / verify`: show the ledger, and verify that it was not changed."""

from __future__ import annotations

import argparse
from pathlib import Path

from liftgate.cli.output import add_json, emit_json, say, show
from liftgate.errors import UsageError
from liftgate.hashing import short
from liftgate.ledger import KINDS, Entry, Ledger
from liftgate.ledger.model_records import PromotionEntry, VersionEntry


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `liftgate ledger`."""
    actions = parser.add_subparsers(metavar="ACTION", required=True, dest="action")
    show = actions.add_parser("show", help="what happened, in order")
    show.add_argument("--kind", choices=KINDS, metavar="KIND", help="only entries of one kind: " + ", ".join(KINDS))
    show.add_argument("--hash", metavar="HASH", help="only entries that a hash of a report is about, and where in them")
    verify = actions.add_parser("verify", help="verify that the ledger was not changed")
    verify.add_argument("--head", metavar="HASH", help="a hash that the ledger must hold, such as the one in a report")
    for action in (show, verify):
        action.add_argument("ledger", type=Path, metavar="STUDY or ledger.sqlite")
        add_json(action)


def run(args: argparse.Namespace) -> int:
    """Run `liftgate ledger` and return its exit code."""
    ledger = Ledger(_ledger_path(args.ledger))
    if not ledger.head_path.exists():
        _require_ledger(ledger)
    return _show(ledger, args) if args.action == "show" else _verify(ledger, args)


def _require_ledger(ledger: Ledger) -> None:
    """Raise an error for a file without a head file: more likely a wrong file than a damaged ledger."""
    if not ledger.path.exists() or ledger.path.stat().st_size == 0:
        raise UsageError("there is no ledger yet", where=ledger.path, hint="`liftgate run STUDY` begins one")
    if ledger.is_foreign():
        raise UsageError("this is no ledger", where=ledger.path, expected="study.yaml or ledger.sqlite")


def _ledger_path(path: Path) -> Path:
    from liftgate.ledger.workspace import results_folder
    from liftgate.study.study_file import study_path

    path = study_path(path)
    if path.suffix.lower() not in (".yaml", ".yml"):
        if path.is_dir():
            raise UsageError("a folder without a study.yaml", where=path, expected="study.yaml or ledger.sqlite")
        return path
    return results_folder(path) / "ledger.sqlite"


def _show(ledger: Ledger, args: argparse.Namespace) -> int:
    entries = ledger.entries(args.kind)
    places: dict[int, list[str]] = {}
    if args.hash is not None:
        from liftgate.ledger.lookup import find

        found = find(entries, args.hash)
        if not found:
            raise UsageError("nothing in this ledger has the hash", where=ledger.path, got=args.hash)
        entries = [entry for entry, _ in found]
        places = {entry.seq: inside for entry, inside in found}
    if args.json:
        shown = [entry.to_dict() | ({"places": places[entry.seq]} if places else {}) for entry in entries]
        emit_json({"ledger": str(ledger.path), "entries": shown})
        return 0
    latest = ""
    for entry in entries:
        back = " (the clock went back)" if entry.time < latest else ""
        latest = max(latest, entry.time)
        show(f"{entry.seq:>5}  {entry.time[:19]}Z  {short(entry.hash)}  {entry.kind:<10}  {_summary_line(entry)}{back}")
        for place in places.get(entry.seq, ()):
            show(f"{'':>29}{place}")
    return 0


def _verify(ledger: Ledger, args: argparse.Namespace) -> int:
    count = ledger.verify(args.head)
    if args.json:
        emit_json({"ok": True, "ledger": str(ledger.path), "entries": count, "head": ledger.head})
        return 0
    show(f"untouched: {count} {'entry' if count == 1 else 'entries'}, head {short(ledger.head)}")
    if args.head is None:
        say("hint: who rewrites ledger and head file together is only caught by a hash kept elsewhere: --head HASH")
    return 0


def _summary_line(entry: Entry) -> str:
    """Return a one-line summary of an entry."""
    body = entry.body
    if entry.kind == "lockbox":
        return f"{body['dataset']}.{body['split']} opening {body['number']} of {body['budget']} for {body['purpose']}"
    if entry.kind == "gate" and body["replaces"]:
        return f"{body['gate']}, in place of {short(body['replaces'])}"
    if entry.kind in (PromotionEntry.KIND, VersionEntry.KIND):
        return str(entry.parse(PromotionEntry if entry.kind == PromotionEntry.KIND else VersionEntry))[:240]
    for key in ("sentence", "text", "name", "gate", "run", "arm", "dataset", "id", "ended"):
        if isinstance(body.get(key), str) and body[key]:
            return " ".join(body[key].split())[:240]  # a verdict's sentence, with what it rests on, is about 200 long
    return ", ".join(sorted(body))[:100]

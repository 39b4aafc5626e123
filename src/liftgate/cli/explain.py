"""`liftgate explain`: what a finding means, why it matters, how to fix it."""

from __future__ import annotations

import argparse

from liftgate.cli import output


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `liftgate explain`."""
    parser.add_argument("id", nargs="?", help="a finding, such as labels.zero_area; all are listed without it")
    output.add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Run `liftgate explain` and return its exit code."""
    from liftgate.checks.rule import Rule
    from liftgate.checks.rules import catalogue
    from liftgate.diagnosis.catalogue import KINDS, Kind, explain

    known = {one.id for one in catalogue()}  # one finding is both: `check` sees it coming, the doctor afterwards
    rules: tuple[Rule | Kind, ...] = (*catalogue(), *(kind for kind in KINDS if kind.id not in known))
    if args.id is None:
        if args.json:
            output.emit_json([{"id": r.id, "severity": r.severity, "summary": r.summary} for r in rules])
            return 0
        width = max(len(rule.id) for rule in rules)
        for rule in rules:
            output.show(f"{rule.id:<{width}}  {rule.severity:<7}  {rule.summary}")
        return 0
    text = explain(args.id)
    if args.json:
        rule = next(rule for rule in rules if rule.id == args.id)
        fields = ("id", "severity", "summary", "why")
        fix = rule.fix
        output.emit_json({name: getattr(rule, name) for name in fields} | {"mend": fix})
        return 0
    output.show(*text.rstrip("\n").split("\n"))
    return 0

"""The report as Markdown, for an issue or a README: the same text and numbers as the page."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from liftgate.evaluation.records import Evaluation
from liftgate.ledger.mistake_records import MistakesResult
from liftgate.ledger.worth_records import WorthEntry
from liftgate.progress import duration
from liftgate.reporting import number_format
from liftgate.reporting.content import ArmContent, GateContent, ReportContent
from liftgate.reporting.page import AMOUNT_KINDS, MISTAKES_NEXT, SHOWN_MISTAKES, gate_metrics, metric_names, seeds_of
from liftgate.reporting.plain_answer import no_answer, plain_answer
from liftgate.reporting.run_content import RunContent
from liftgate.stats.interval import Interval
from liftgate.visible import visible_line

_SPECIAL = str.maketrans({character: f"\\{character}" for character in "\\`*_{}[]<>|#"})


def render_markdown(content: ReportContent) -> str:
    """Return verdicts, differences, figures, findings and hashes as Markdown; names and messages are escaped."""
    parts = [f"# {_plain(content.question)}", f"Study `{_code(content.study)}`"]
    parts += _first_screen(content)
    for gate in content.gates:
        parts += _gate(gate)
    parts += [f"- ! {_plain(note)}" for note in content.notes]
    if content.findings:
        rows = [(one.severity, one.id, one.where, one.message) for one in content.findings]
        parts += ["## Findings", _table(("Severity", "Finding", "Where", "What"), rows)]
    parts += _runs(content.runs)
    for found in content.mistakes:
        parts += _mistakes(found)
    for answer in content.worth:
        parts += _worth(answer)
    if content.costs:
        costs = [(one.label, duration(one.seconds), number_format.money(one.usd)) for one in content.costs]
        parts += ["## Costs", _table(("Work", "Wall time", "Money"), costs)]
    if content.hashes:
        parts += [
            "## Hashes",
            "\n".join(f"- {_plain(name)} `{_code(value)}`" for name, value in content.hashes.items()),
        ]
    return "\n\n".join(parts) + "\n"


def _first_screen(content: ReportContent) -> list[str]:
    """Return the plain answer, what it does not say and what to do next, as the page begins."""
    answered = content.gates and not content.unanswered
    plain = plain_answer(content.gates[0], content) if answered else no_answer(content)
    asked = f"{_plain(plain.asked)} " if plain.asked else ""
    parts = [f"{asked}**{_plain(plain.sentence)}**", f"What to do next: {_prose(plain.next_step)}"]
    if plain.does_not_say:
        parts += ["What this does not say:", "\n".join(f"- {_plain(line)}" for line in plain.does_not_say)]
    if content.missing:
        parts += ["Missing or not finished:", "\n".join(f"- ! {_plain(line)}" for line in content.missing)]
    return parts


def _gate(gate: GateContent) -> list[str]:
    verdict = gate.verdict
    parts = [f"## {verdict.word}: {_plain(verdict.sentence.removeprefix(f'{verdict.word}: '))}"]
    if gate.comparison:
        delta = gate.comparison.delta
        name = f"{gate.comparison.metric}, treatment − control"
        parts.append(
            f"{_plain(name)}: {number_format.signed(delta.estimate)} {_ends(delta, signed=True)}. {delta.basis}."
        )
    parts += [
        f"{_plain(one.metric)}: {number_format.number(one.value.estimate)} {_ends(one.value)} against {one.side} "
        f"{number_format.number(one.at_least)}: {one.word}. {one.value.basis}."
        for one in gate.claims
    ]
    caveats = " ".join(verdict.caveats)
    beside = [
        f"confounded: {one}" for one in (gate.comparison.differences if gate.comparison else ()) if one not in caveats
    ]
    limits = [*verdict.caveats, *beside]
    if limits:
        parts.append("\n".join(f"- ! {_plain(one)}" for one in limits))
    if gate.differences:
        answers = {True: "yes", False: "no: confounded", None: "the gate does not say"}
        rows = [(one.field, one.control, one.treatment, answers[one.declared]) for one in gate.differences]
        parts.append(_table(("Setting", "Control", "Treatment", "Meant to differ?"), rows))
    measured = [arm for arm in gate.arms if arm.evaluation]
    if measured:
        names = [arm.name for arm in measured]
        if len(seeds := seeds_of(measured)) > 1:
            parts += ["Every seed", _table(("Metric", "Seed", *names), _seed_rows(gate, measured, seeds))]
            parts.append(f"Of seed {seeds[0]}:")
        parts.append(_table(("Metric", *names, "Interval of, sample"), _figure_rows(gate, measured)))
        sizes = {one.arm: f", measured at image size {one.imgsz}" for one in gate.measured_at if one.imgsz is not None}
        parts += [f"{_plain(arm.name)}: {_plain(arm.description)}{_plain(sizes.get(arm.name, ''))}" for arm in measured]
    parts.append(f"Gate hash `{_code(verdict.gate_hash)}`")
    return parts


def _runs(runs: Sequence[RunContent]) -> list[str]:
    lines = [f"{_plain(run.name)}: {_plain(text)}" for run in runs for text in run.decisions]
    lines += [
        f"{_plain(run.name)}: {one.severity} `{one.id}` {_plain(one.message)}" for run in runs for one in run.findings
    ]
    parts = ["## How the trainings went", "\n".join(f"- {text}" for text in lines)] if lines else []
    rows = [
        (
            run.name,
            str(row.epoch),
            row.metric,
            f"{row.low:g} to {row.high:g}",
            number_format.number(row.actual),
            row.outcome,
        )
        for run in runs
        for row in run.trajectory
    ]
    if rows:
        head = ("Training", "Epoch", "Metric on val", "Expected", "Actual", "It was")
        parts += ["### Expected trajectory against actual", _table(head, rows)]
    return parts


def _mistakes(found: MistakesResult) -> list[str]:
    parts = [f"## Suspected mistakes in the labels of {_plain(found.dataset)}", f"{_plain(found.text)}."]
    parts += ["\n".join(f"- ! {_plain(note)}" for note in found.notes)] if found.notes else []
    if found.rows:
        rows = [(one.kind, one.image, one.label or number_format.MISSING, one.model or number_format.MISSING,
                 number_format.number(one.suspicion)) for one in found.rows[:SHOWN_MISTAKES]]  # fmt: skip
        parts.append(_table(("Kind", "Image", "Label", "Model", "Suspicion"), rows))
    parts.append(_prose(MISTAKES_NEXT))
    return parts


def _worth(answer: WorthEntry) -> list[str]:
    rows = [
        (AMOUNT_KINDS[row.kind], f"{row.share:.0%}", str(row.images), str(row.groups), number_format.number(row.value),
         number_format.number(row.standard_error), str(row.seeds), duration(row.seconds))
        for row in answer.amounts
    ]  # fmt: skip
    head = ("Trained on", "Share", "Images", "Groups", answer.metric, "Standard error", "Seeds", "A training took")
    return [f"## What more data of {_plain(answer.dataset)} would bring", _plain(answer.text), _table(head, rows)]


def _figure_rows(gate: GateContent, measured: Sequence[ArmContent]) -> Iterable[Sequence[str]]:
    for name in metric_names(gate):
        evaluations = [arm.evaluation for arm in measured if arm.evaluation]
        found = [one.intervals[name] for one in evaluations if name in one.intervals]
        bases = dict.fromkeys(one.basis for one in [one for one in found if one.established] or found)
        yield (name, *(_figure(arm.evaluation, name) for arm in measured), "; ".join(bases))


def _seed_rows(gate: GateContent, measured: Sequence[ArmContent], seeds: Sequence[int]) -> Iterable[Sequence[str]]:
    for name in gate_metrics(gate):
        for seed in seeds:
            yield (name, str(seed), *(_figure(arm.of_seed(seed), name) for arm in measured))


def _figure(evaluation: Evaluation | None, name: str) -> str:
    """Return a value with its interval, where there is one."""
    if evaluation is None:
        return number_format.MISSING
    interval = evaluation.intervals.get(name)
    value = number_format.number(evaluation.metrics.get(name))
    return value if interval is None else f"{value} {_ends(interval)}"


def _ends(interval: Interval, signed: bool = False) -> str:
    if interval.low is None or interval.high is None:
        return "(interval not established)"
    write = number_format.signed if signed else number_format.number
    return f"[{write(interval.low)}, {write(interval.high)}]"


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header)]
    cells = [[_plain(cell) for cell in row] for row in rows]
    return "\n".join("| " + " | ".join(row) + " |" for row in [[_plain(one) for one in lines[0]], lines[1], *cells])


def _plain(text: str) -> str:
    """Return text that Markdown shows as it is: no markup, no HTML, on one line."""
    return visible_line(" ".join(text.split())).translate(_SPECIAL)


def _prose(text: str) -> str:
    """Return text with what is between backticks as code."""
    parts = text.split("`")
    if len(parts) % 2 == 0:  # one backtick alone quotes nothing
        return _plain(text)
    return "".join(f"`{_code(part)}`" if n % 2 else _plain_part(part) for n, part in enumerate(parts))


def _plain_part(text: str) -> str:
    """Return a part of a line: the spaces at its ends stay."""
    return visible_line(text.replace("\n", " ")).translate(_SPECIAL)


def _code(text: str) -> str:
    return visible_line(" ".join(text.replace("`", "'").split()))

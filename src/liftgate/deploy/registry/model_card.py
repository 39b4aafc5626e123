"""The model card: what a version is, what its verdict says and does not say, for people; Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from liftgate.data.provenance.licences import Terms, obligations
from liftgate.evaluation.records import Evaluation
from liftgate.ledger.model_records import VersionVerdict
from liftgate.stats.interval import Interval, sample
from liftgate.study.records import Arm
from liftgate.visible import visible_line

_SPECIAL = str.maketrans({character: f"\\{character}" for character in "\\`*_{}[]<>|#"})
_SHOWN = (
    *("mAP50-95", "mAP50", "mAP75", "recall", "precision", "best_confidence_median", "false_positives_per_image"),
    *("accuracy", "detection_rate", "false_alarm_rate", "AUC", "OKS-mAP50-95", "OKS-mAP50", "ms_per_image"),
)
_AGPL = (
    "Ultralytics holds that its AGPL-3.0 covers weights that it trained: who ships or serves them keeps to that "
    "licence or to Ultralytics' commercial one. Ask your lawyer, not this page."
)


@dataclass(frozen=True, slots=True)
class DataRow:
    """One split of a data set that a version was made with."""

    dataset: str
    split: str
    use: str
    n_images: int
    n_groups: int
    n_objects: int
    licence: str | None
    locked: bool


@dataclass(frozen=True, slots=True)
class CardFacts:
    """Everything that a model card shows."""

    version: str
    name: str
    question: str
    arm: Arm
    seed: int
    n_seeds: int
    task: str
    verdict: VersionVerdict | None
    on: str
    """`dataset.split` of the evaluation"""
    evaluation: Evaluation
    data: tuple[DataRow, ...]
    weights_hash: str
    weights_licence: str | None
    terms: Terms | None
    """Of the training data; None: the model was taken as it is, and what it was trained on is not known"""
    notes: tuple[str, ...] = ()


def card_text(facts: CardFacts) -> str:
    """Return the card as Markdown; names of others are escaped and control characters are made visible."""
    parts = [
        f"# {_plain(facts.name)} {facts.version}",
        f"Weights `{facts.weights_hash}`, task {facts.task}.",
        f"Question of the study: {_plain(facts.question)}",
        *_verdict(facts),
        *_metrics(facts),
        *_training(facts),
        "## Data",
        _table(("Data set", "Split", "Use", "Images", "Groups", "Objects", "Licence"), map(_data_cells, facts.data)),
        *_licences(facts),
    ]
    if facts.notes:
        parts += ["## Notes", "\n".join(f"- {_plain(note)}" for note in facts.notes)]
    return "\n\n".join(parts) + "\n"


def unstudied_card_text(name: str, version: str, weights_hash: str, weights_licence: str | None) -> str:
    """Return the card of a version that was registered as a file, without a study."""
    parts = [
        f"# {_plain(name)} {version}",
        f"Weights `{weights_hash}`.",
        "## Verdict",
        "None: it was registered without a study. Nothing shows that it is good enough for anything.",
        "## Data",
        "Not known: neither what it was trained on nor what it was measured on.",
        "## Licences",
        "\n".join(_weights_licence(weights_licence)),
    ]
    return "\n\n".join(parts) + "\n"


def _verdict(facts: CardFacts) -> list[str]:
    verdict = facts.verdict
    if verdict is None:
        text = "None: no run of the study has an answer about these weights. Nothing shows that they are good enough."
        return ["## Verdict", text]
    about = ""
    if verdict.about != verdict.arm:
        about = f" This is about the arm {_plain(verdict.about)}, not about these weights of {_plain(verdict.arm)}."
    sentence = verdict.sentence.removeprefix(f"{verdict.word}: ")
    parts = [
        f"## Verdict: {verdict.word}",
        f"{_plain(sentence)}{about}",
        f"Gate `{_code(verdict.gate)}`, written before its numbers existed: `{verdict.gate_hash}`.",
    ]
    if verdict.caveats:
        parts.append("\n".join(f"- ! {_plain(one)}" for one in verdict.caveats))
    return [*parts, "### What the verdict does not say", "\n".join(f"- {line}" for line in _limits(facts, verdict))]


def _limits(facts: CardFacts, verdict: VersionVerdict) -> Iterable[str]:
    yield (
        f"Anything about images unlike those of {_plain(facts.on)}: other cameras, places or seasons. "
        f"It rests on {sample(facts.evaluation.n_images, facts.evaluation.n_groups)}."
    )
    yield f"Anything about metrics that the gate {_plain(verdict.gate)} does not name: the table only describes them."
    if facts.n_seeds == 1 and facts.arm.stages:
        yield "That the recipe is better: it was trained with one seed, so the verdict is about this checkpoint."
    yield "Anything about exports (ONNX, INT8, an engine): each differs from these weights and is measured apart."
    yield "Anything about speed on the device that it will run on, unless the gate names `ms_per_image`."


def _metrics(facts: CardFacts) -> list[str]:
    evaluation = facts.evaluation
    names = [name for name in _SHOWN if evaluation.metrics.get(name) is not None]
    rows = [(name, _number(evaluation.metrics[name]), *_interval(evaluation.intervals.get(name))) for name in names]
    parts = [
        f"## Measured on {_plain(facts.on)}",
        f"{sample(evaluation.n_images, evaluation.n_groups)}; intervals of level {evaluation.level:g}, "
        f"{_plain(evaluation.method)}.",
        _table(("Metric", "Value", "Interval", "Method"), rows),
    ]
    if evaluation.per_class:
        shown = ("AP50-95", "AP50", "recall", "precision", "n_objects")
        classes = [
            (name, *(_number(row.get(metric)) for metric in shown)) for name, row in evaluation.per_class.items()
        ]
        parts += ["Per class, without intervals:", _table(("Class", *shown), classes)]
    return parts


def _training(facts: CardFacts) -> list[str]:
    if not facts.arm.stages:
        return ["## Training", "None: the model was taken as it is."]
    lines = []
    for number, stage in enumerate(facts.arm.stages, 1):
        recipe = ", ".join(f"{key} {value}" for key, value in stage.recipe.items()) or "the trainer's defaults"
        start = stage.weights or "the weights before"
        lines.append(f"{number}. {_plain(start)} on {_plain(stage.described_data)}: {_plain(recipe)}")
    return ["## Training", f"Arm `{_code(facts.arm.name)}`, seed {facts.seed}.", "\n".join(lines)]


def _data_cells(row: DataRow) -> tuple[str, ...]:
    counts = (f"{row.n_images:,}", f"{row.n_groups:,}", f"{row.n_objects:,}")
    split = row.split + (" (locked)" if row.locked else "")
    return row.dataset, split, row.use, *counts, row.licence or "unknown"


def _licences(facts: CardFacts) -> list[str]:
    lines = _weights_licence(facts.weights_licence)
    if facts.terms is None:
        lines.append("- training data: not known")
    else:
        duties = obligations(facts.terms.licence)
        text = "unknown, which allows nothing for certain" if facts.terms.licence is None else facts.terms.licence
        lines.append(f"- training data: {_plain(text)}" + (f" ({', '.join(duties)})" if duties else ""))
        lines.append(f"- origin: {facts.terms.origin}" + ("; confidential" if facts.terms.confidential else ""))
        lines.append(f"- consent of people in the images: {_plain(facts.terms.consent or 'not known')}")
    return ["## Licences", "\n".join(lines)]


def _weights_licence(licence: str | None) -> list[str]:
    lines = [f"- weights: {_plain(licence or 'unknown')}"]
    return [*lines, f"- {_AGPL}"] if licence and "AGPL" in licence.upper() else lines


def _interval(value: Interval | None) -> tuple[str, str]:
    if value is None:
        return "none", ""
    bounds = f"{value.low:.4f} to {value.high:.4f}" if value.low is not None and value.high is not None else "none"
    return bounds, value.basis if value.established else (value.note or value.basis)


def _number(value: float | int | None) -> str:
    if value is None:
        return "–"
    return f"{value:.4f}" if isinstance(value, float) else f"{value:,}"


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *([_plain(cell) for cell in row] for row in rows)]
    return "\n".join("| " + " | ".join(row) + " |" for row in lines)


def _plain(text: str) -> str:
    """Return text that Markdown shows as it is, on one line."""
    return visible_line(" ".join(text.split())).translate(_SPECIAL)


def _code(text: str) -> str:
    return visible_line(" ".join(text.replace("`", "'").split()))

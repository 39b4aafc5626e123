"""Parse study.yaml: text → values with lines → keys that pydantic accepts → rules between them → frozen records.

All mistakes are reported at once, each with its line, key and, if a name is similar, a suggestion.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from liftgate.errors import StudyError
from liftgate.study import engine_keys, gate_keys, overrides, rules, yaml_keys
from liftgate.study.ablations import AnyArm, expand_gates, variants
from liftgate.study.partial_study import PartialStudy
from liftgate.study.records import (
    Arm,
    Budget,
    Claim,
    DatasetSpec,
    Decision,
    EarlyKill,
    EngineSpec,
    Expectation,
    FlowStep,
    Gate,
    Part,
    Stage,
    Study,
    Threshold,
    WorthSpec,
)
from liftgate.study.value_types import candidates
from liftgate.study.vocabulary import DEFAULT_SHARES
from liftgate.study.yaml_source import Path as KeyPath
from liftgate.study.yaml_source import Problem, Source, dotted, read
from liftgate.suggestions import suggestion

_ARM: TypeAdapter[Any] = TypeAdapter(yaml_keys.ArmKeys)
_FORMS = {"address": "HOST:PORT, or auto", "store": "a URL such as s3://BUCKET/PREFIX"}
_SECTIONS = frozenset({"datasets", "arms", "gates", "flow"})
_STEP: TypeAdapter[Any] = TypeAdapter(yaml_keys.Step)


class InvalidStudy(StudyError):
    """A study with mistakes; `problems` has each of them with its place."""

    def __init__(self, name: str, problems: tuple[Problem, ...]) -> None:
        self.problems = problems
        if len(problems) == 1:
            only = problems[0]
            key = dotted(only.path)
            super().__init__(f"{key}: {only.message}" if key else only.message, where=only.where, hint=only.hint)
        else:
            lines = [line for problem in problems for line in problem.lines()]
            super().__init__(f"{len(problems)} mistakes in {name}", further=lines)


def parse(text: str, *, source: Path | None = None, overrides: Mapping[str, Any] | None = None) -> Study:
    """Read a study from its text; `source` is its path in messages.

    Raises:
        StudyError: as `load`.

    >>> study = parse('''
    ... study: one
    ... question: Is the model good enough as it is?
    ... datasets: {bench: {path: data.yaml}}
    ... arms: {as_is: {weights: yolov8n.pt}}
    ... gates: {enough: {arm: as_is, on: bench.test, claims: [{metric: recall, at_least: 0.95}]}}
    ... flow: [check, enough]
    ... ''')
    >>> study.gates[0].claims
    (Claim(metric='recall', at_least=0.95, at_most=None),)
    """
    name = str(source) if source else "study.yaml"
    document = read(text, name)
    if isinstance(document.value, dict) and "names" in document.value and not _SECTIONS & document.value.keys():
        hint = f"liftgate check {name}, or liftgate init DIR --template NAME --data {name}"
        raise StudyError("a data.yaml is data, not a study", where=name, hint=hint)
    _override(document, overrides or {})
    if isinstance(document.value, dict):
        valid = _validate(document)
        if valid is not None and not document.problems:
            return replace(_records(valid, source.absolute() if source else None), places=dict(document.places))
    elif not document.problems:
        document.add_problem(
            (), "a study is a mapping: `study`, `question`, `datasets`, `arms`, `flow` …; `liftgate init` writes one"
        )
    raise InvalidStudy(name, tuple(sorted(set(document.problems), key=_reading_order)))


def _override(document: Source, given: Mapping[str, Any]) -> None:
    for key, value in given.items():
        overrides.apply(document, key, value)


def _reading_order(problem: Problem) -> tuple[str, int, str]:
    place, _, line = problem.where.rpartition(":")
    return (place, int(line), dotted(problem.path)) if line.isdigit() else (problem.where, 0, dotted(problem.path))


def _validate(document: Source) -> yaml_keys.StudyKeys | None:
    """Validate each key by itself, then the rules between the valid ones."""
    valid = None
    bad: set[KeyPath] = set()
    try:
        valid = yaml_keys.StudyKeys.model_validate(document.value)
    except ValidationError as error:
        for details in error.errors(include_url=False):
            path = _key_path(details["loc"], document.value)
            bad.update(path[:depth] for depth in range(1, len(path) + 1))
            message, hint = _message_and_hint(details, path)
            document.add_problem(path, message, hint)
    rules.check(_draft(document.value, bad), document)
    return valid


def _key_path(loc: tuple[str | int, ...], value: Any) -> KeyPath:
    """Return a pydantic location without parts that are not keys of the document: tags of unions, `[key]`."""
    path: KeyPath = ()
    for step in loc:
        inside = (isinstance(value, dict) and step in value) or (
            isinstance(value, list) and isinstance(step, int) and step < len(value)
        )
        if inside:
            value = value[step]
            path = (*path, step)
    return path


def _message_and_hint(details: Any, path: KeyPath) -> tuple[str, str | None]:
    """Return an error of pydantic as a message and a hint."""
    kind, context, last = details["type"], details.get("ctx", {}), str(details["loc"][-1] if details["loc"] else "")
    if kind == "missing":
        return f"the key `{last}` is missing", None
    if kind == "extra_forbidden":
        return "unknown key", suggestion(last, _keys_at(path[:-1]))
    if kind == "value_error":
        message, *hint = context["error"].args
        return str(message), hint[0] if hint else None
    if kind == "literal_error":
        known = [word.strip(" '") for word in context["expected"].replace(" or ", ",").split(",")]
        return f"expected {', '.join(known)}, got {_quote(details['input'])}", suggestion(details["input"], known)
    if kind == "string_pattern_mismatch":
        hint = "winner(phase1, phase2) takes two arms or more" if "winner" in str(details["input"]) else None
        expected = _FORMS.get(last, "a name of letters, digits, _ and -")
        return f"expected {expected}, got {_quote(details['input'])}", hint
    if kind == "model_type":
        return f"expected a mapping of keys, got {_quote(details['input'])}", None
    if kind == "too_short":
        return f"expected at least {context['min_length']}, got {context['actual_length'] or 'none'}", None
    message = details["msg"].replace("Input should be", "expected").replace("a valid integer", "a whole number")
    message = message.replace("a valid ", "a ")
    message = message.replace("dictionary", "mapping").replace("string", "word")
    return f"{message}, got {_quote(details['input'])}", _correction(kind, details["input"], path)


def _correction(kind: str, given: object, path: KeyPath) -> str | None:
    """Return a hint with the probable correction of a value of the wrong type."""
    if kind == "list_type" and isinstance(given, str | int | float) and not isinstance(given, bool):
        return f"write {{weights: {given}}}" if path[:-1] == ("arms",) else f"write [{given}]"
    if kind == "bool_type" and str(given).lower() in ("yes", "on", "no", "off"):
        return "write true" if str(given).lower() in ("yes", "on") else "write false"
    if kind == "string_type" and isinstance(given, int | float) and not isinstance(given, bool):
        return f'write "{given}", in quotes'
    return None


def _quote(value: object) -> str:
    words = {None: "nothing", True: "true", False: "false"}
    if value is None or isinstance(value, bool):
        return words[value]
    if isinstance(value, dict):
        return "a mapping"
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}…"


def _keys_at(path: KeyPath) -> tuple[str, ...]:
    """Return the keys that the mapping at `path` may have."""
    models: dict[str, Callable[[KeyPath], type[gate_keys.Keys]]] = {
        "datasets": lambda _: yaml_keys.DatasetKeys,
        "arms": _arm_keys,
        "gates": _gate_keys,
        "flow": lambda _: yaml_keys.StepKeys,
        "budget": lambda _: yaml_keys.BudgetKeys,
        "early_kill": lambda _: yaml_keys.EarlyKillKeys,
        "evaluation": lambda _: yaml_keys.EvaluationKeys,
        "engine": lambda _: engine_keys.EngineKeys,
    }
    model = models[str(path[0])](path[1:]) if path else yaml_keys.StudyKeys
    also = yaml_keys.ModelKeys.model_fields if model is yaml_keys.TrainedKeys else ()
    return (*model.model_fields, *also)


def _gate_keys(below: KeyPath) -> type[gate_keys.Keys]:
    inside: dict[object, type[gate_keys.Keys]] = {"claims": gate_keys.ClaimKeys, "threshold": gate_keys.ThresholdKeys}
    return inside.get(below[1], gate_keys.GateKeys) if below[1:] else gate_keys.GateKeys


def _arm_keys(below: KeyPath) -> type[gate_keys.Keys]:
    """Return the model of keys at `below`: the arm's name, `stages` if present, index of the stage, and the rest."""
    inside = below[2:] if len(below) > 1 and below[1] == "stages" else below[1:]
    if not inside:
        return yaml_keys.TrainedKeys
    lists: dict[object, type[gate_keys.Keys]] = {"data": yaml_keys.PartKeys, "decide": yaml_keys.DecisionKeys}
    stage: type[gate_keys.Keys] = yaml_keys.StageKeys
    return lists.get(inside[1], stage) if inside[1:] else stage


def _draft(value: dict[str, Any], bad: set[KeyPath]) -> PartialStudy:
    def entries(section: str) -> Iterator[tuple[str, Any]]:
        content = value.get(section)
        for name, entry in content.items() if isinstance(content, dict) else ():
            if (section, name) not in bad:
                yield name, entry

    def names(section: str) -> tuple[str, ...]:
        content = value.get(section)
        return tuple(content) if isinstance(content, dict) else ()

    flow = value.get("flow")
    seeds = value.get("seeds")
    return PartialStudy(
        datasets={name: yaml_keys.DatasetKeys.model_validate(entry) for name, entry in entries("datasets")},
        arms_as_written={name: _ARM.validate_python(entry) for name, entry in entries("arms")},
        gates={name: gate_keys.GateKeys.model_validate(entry) for name, entry in entries("gates")},
        flow={
            index: _step(entry)
            for index, entry in enumerate(flow if isinstance(flow, list) else [])
            if ("flow", index) not in bad
        },
        budget=dict(entries("budget")),
        seeds=seeds if isinstance(seeds, list) and ("seeds",) not in bad else [],
        log=value["log"] if isinstance(value.get("log"), list) and ("log",) not in bad else [],
        task=str(value.get("task", "detect")),
        names={section: names(section) for section in ("datasets", "arms", "gates")},
        answer=value["answer"] if isinstance(value.get("answer"), str) and ("answer",) not in bad else None,
    )


def _step(entry: Any) -> yaml_keys.StepKeys:
    step = _STEP.validate_python(entry)
    return yaml_keys.StepKeys(step=step) if isinstance(step, str) else step


def _records(valid: yaml_keys.StudyKeys, source: Path | None) -> Study:
    expanded_gates = expand_gates(valid.gates, valid.arms)
    arms = tuple(arm for name, entry in valid.arms.items() for arm in _arms(name, entry, valid.select))
    by_name = {arm.name: arm for arm in arms}
    return Study(
        name=valid.study,
        question=valid.question,
        task=valid.task,
        datasets=tuple(_dataset(name, entry) for name, entry in valid.datasets.items()),
        arms=arms,
        gates=tuple(_gate(name, gate) for gates in expanded_gates.values() for name, gate in gates.items()),
        flow=tuple(step for entry in valid.flow for step in _flow_steps(entry, expanded_gates, by_name)),
        seeds=tuple(valid.seeds),
        budget=Budget(**valid.budget.model_dump()),
        use=valid.use,
        ignore=valid.ignore,
        evaluation=valid.evaluation.model_dump(exclude_none=True),
        backend=valid.backend,
        device=valid.device,
        early_kill=None if valid.early_kill is None else EarlyKill(valid.early_kill.after, valid.early_kill.runs),
        log=tuple(dict.fromkeys(valid.log)),
        engine=None if valid.engine is None else _engine(valid.engine),
        regions=tuple(valid.regions),
        answer=valid.answer,
        source=source,
    )


def _engine(keys: engine_keys.EngineKeys) -> EngineSpec:
    return EngineSpec(**{**keys.model_dump(), "gpus": None if keys.gpus is None else tuple(keys.gpus)})


def _dataset(name: str, entry: yaml_keys.DatasetKeys) -> DatasetSpec:
    plain = entry.model_dump()
    for key in ("ratios", "keep", "lock"):
        plain[key] = None if plain[key] is None else tuple(plain[key])
    return DatasetSpec(name=name, **plain)


def _arms(name: str, entry: AnyArm, select: str | None) -> Iterator[Arm]:
    """Yield an arm and its variants."""
    if isinstance(entry, yaml_keys.ModelKeys):
        yield Arm(name, weights=entry.weights, imgsz=entry.imgsz, backend=entry.backend)
        return
    remember: tuple[str, ...] | None = None
    backend: str | None = None
    if isinstance(entry, yaml_keys.TrainedKeys):
        select, backend = entry.select or select, entry.backend
        remember = None if entry.remember is None else tuple(entry.remember or ())
    stages = entry.stages if isinstance(entry, yaml_keys.TrainedKeys) else entry
    yield Arm(name, tuple(_stage(stage, select) for stage in stages), remember=remember, backend=backend)
    for variant in variants(name, entry):
        of_variant = tuple(_stage(stage, select) for stage in variant.stages)
        yield Arm(variant.name, of_variant, remember=remember, backend=backend)


def _stage(entry: yaml_keys.StageKeys, select: str | None) -> Stage:
    mixed = entry.data if isinstance(entry.data, list) else [yaml_keys.PartKeys(dataset=entry.data)]
    sources = [part.dataset for part in mixed]
    val = entry.val or sources[-1]
    plain = isinstance(entry.data, str) and sources == [val]
    return Stage(
        data=val,
        weights=entry.weights,
        recipe=entry.recipe,
        mix=() if plain else tuple(Part(part.dataset, part.repeat, part.take) for part in mixed),
        weights_from=entry.weights_from,
        select=entry.select or select,
        decide=tuple(Decision(**point.model_dump()) for point in entry.decide),
        expect=tuple(Expectation(epoch, *entry.expect[epoch]) for epoch in sorted(entry.expect)),
    )


def _gate(name: str, entry: gate_keys.GateKeys) -> Gate:
    lists = {"claims", "differ", "ablation", "treatments", "threats", "threshold", "formats", "precisions"}
    plain = entry.model_dump(exclude=lists)
    claims = tuple(Claim(claim.metric, claim.at_least, claim.at_most) for claim in entry.claims)
    rule = entry.threshold
    threshold = Threshold(**rule.model_dump()) if isinstance(rule, gate_keys.ThresholdKeys) else Threshold(at=rule)
    if winner_of := candidates(entry.arm):
        plain["arm"] = None
    more: dict[str, Any] = {"threats": tuple(entry.threats), "threshold": None if rule is None else threshold}
    if entry.formats is not None:
        plain |= {"metric": "mAP50-95", "claim": "equal"}
        more |= {"formats": tuple(entry.formats), "precisions": tuple(entry.precisions or ("fp32",))}
    return Gate(name=name, claims=claims, differ=tuple(entry.differ), winner_of=winner_of, **more, **plain)


def _flow_steps(
    entry: str | yaml_keys.StepKeys, expanded_gates: Mapping[str, Mapping[str, object]], known: Mapping[str, Arm]
) -> Iterator[FlowStep]:
    """Yield a step; the name of an ablation's gate expands to several."""
    step = yaml_keys.StepKeys(step=entry) if isinstance(entry, str) else entry
    conditions = [{name: tuple(words) for name, words in condition.items()} for condition in step.when]
    when, any_of = (conditions[0], ()) if len(conditions) == 1 else ({}, tuple(conditions))
    arms = None if step.arms is None else tuple(step.arms)
    for name in expanded_gates.get(step.step, (step.step,)):
        exports = tuple(step.formats or ()), tuple(step.precisions or ())
        yield FlowStep(name, when, arms, any_of, *exports, step.folds, _worth(step, known) if name == "worth" else None)


def _worth(step: yaml_keys.StepKeys, arms: Mapping[str, Arm]) -> WorthSpec:
    arm = arms[step.arms[0]] if step.arms else next(one for one in arms.values() if one.stages)
    return WorthSpec(
        shares=DEFAULT_SHARES if step.shares is None else tuple(sorted(set(step.shares))),
        on=step.on or f"{arm.stages[0].data}.val",
        metric=step.metric or "mAP50",
        old_groups=bool(step.old_groups),
        more=step.more,
        seconds_per_image=step.seconds_per_image,
        margin=step.margin,
    )

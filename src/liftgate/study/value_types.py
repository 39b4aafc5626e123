"""Types of values in study.yaml: what is accepted, how it is converted, its JSON schema."""

from __future__ import annotations

import shlex
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints, WithJsonSchema

from liftgate.patterns import PatternError, compiled_pattern
from liftgate.study.conditions import parse_condition
from liftgate.study.vocabulary import ARM_WORDS, EPOCH_METRICS, GROUP_RULES, METRICS, VERDICTS, WORTH_WORDS
from liftgate.study.yaml_source import scalar
from liftgate.suggestions import suggestion

Scalar = str | bool | int | float
Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_-]{0,63}$")]
ArmName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$")]
"""Name of an arm where it is referred to: an ablation's has the value in it, base-fliplr-0.5"""
_ARM = r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}"
ArmOrWinner = Annotated[str, StringConstraints(pattern=rf"^({_ARM}|winner\(\s*{_ARM}(\s*,\s*{_ARM})+\s*\))$")]
"""Name of an arm, or `winner(a, b)`: the best of several"""
Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
Fraction = Annotated[float, Field(ge=0, le=1)]


def candidates(arm: str | None) -> tuple[str, ...]:
    """Return the arms of which a gate judges the winner; empty: it names one arm, or none.

    >>> candidates("winner(phase1, phase2)"), candidates("phase1")
    (('phase1', 'phase2'), ())
    """
    if arm is None or not arm.startswith("winner("):
        return ()
    return tuple(name.strip() for name in arm.removeprefix("winner(").removesuffix(")").split(","))


def _ceiling(value: float) -> float:
    if value <= 0:
        raise ValueError(
            f"expected more than 0, got {value:g}: it would stop the study before its first step", _NO_CEILING
        )
    return value


_NO_CEILING = "leave the key out for no ceiling"
Ceiling = Annotated[
    float,
    Field(allow_inf_nan=False),
    AfterValidator(_ceiling),
    WithJsonSchema({"type": "number", "exclusiveMinimum": 0}),
]


def _groups(rule: str) -> str:
    if rule in GROUP_RULES or rule.lower().endswith(".csv"):
        return rule
    if "(" not in rule:
        raise ValueError(
            f"expected a regular expression with (?P<group>…), a CSV file, or {', '.join(GROUP_RULES)}, got {rule!r}",
            suggestion(rule, GROUP_RULES),
        )
    try:
        pattern = compiled_pattern(rule)
    except PatternError as error:
        raise ValueError(f"not a regular expression: {error}") from None
    if "group" not in pattern.groupindex:
        raise ValueError("the regular expression must name what it finds: (?P<group>…)")
    return rule


def _recipe(value: object) -> object:
    """Accept `epochs=3 imgsz=256` as well as a mapping."""
    if not isinstance(value, str):
        return value
    try:
        pairs = [word.partition("=") for word in shlex.split(value)]
    except ValueError as error:
        raise ValueError(f"expected key=value words, got {value!r}: {error}") from None
    if bare := next((key for key, equals, _ in pairs if not equals or not key), None):
        raise ValueError(f"expected key=value words, got `{bare}`")
    return {key: scalar(text) for key, _, text in pairs}


def one_or_more(value: object) -> object:
    """Accept `word` for `[word]`."""
    return [value] if isinstance(value, str) else value


def _device(value: object) -> object:
    """Accept 0 and [0, 1] as well as the trainer's own names of devices."""
    if isinstance(value, list) and value and all(isinstance(one, int) and not isinstance(one, bool) for one in value):
        return ",".join(map(str, value))
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _devices(text: str) -> str:
    several = [word.strip() for word in text.split(",")]
    if len(several) > 1 and (len(set(several)) < len(several) or not all(word.isdecimal() for word in several)):
        raise ValueError(f"expected the numbers of different GPUs, got {text!r}", "device: [0, 1]")
    return ",".join(several)


def _metric(name: str) -> str:
    if name not in METRICS:
        raise ValueError(f"no metric `{name}`", suggestion(name, METRICS))
    return name


Groups = Annotated[str, AfterValidator(_groups)]
Metric = Annotated[
    str,
    AfterValidator(_metric),
    WithJsonSchema({"type": "string", "enum": list(METRICS)}),
]
Device = Annotated[
    str,
    BeforeValidator(_device),
    AfterValidator(_devices),
    WithJsonSchema({"type": ["string", "integer", "array"], "items": {"type": "integer"}}),
]
_WORDS = (*VERDICTS, *ARM_WORDS, *WORTH_WORDS)
Words = Annotated[
    list[Literal["PASS", "MARGINAL", "FAIL", "FINISHED", "CAREFUL", "STOPPED", "MORE", "UNSURE", "ENOUGH"]],
    Field(min_length=1),
    BeforeValidator(one_or_more),
    WithJsonSchema(
        {"anyOf": [{"enum": list(_WORDS)}, {"type": "array", "items": {"enum": list(_WORDS)}, "minItems": 1}]}
    ),
]
When = Annotated[
    list[dict[ArmName, Words]], BeforeValidator(lambda value: [value] if isinstance(value, dict) else value)
]


def _condition(text: str) -> str:
    parse_condition(text)
    return text


def _epoch_metric(name: str) -> str:
    if name not in EPOCH_METRICS:
        raise ValueError(f"no metric `{name}` in an epoch's report", suggestion(name, EPOCH_METRICS))
    return name


def _expected(value: object) -> object:
    """Accept `{25: [0.12, 0.15]}`: keys of the YAML are strings here, epochs are numbers."""
    if not isinstance(value, dict):
        return value
    for epoch, band in value.items():
        if not (str(epoch).isascii() and str(epoch).isdigit() and int(epoch) > 0):
            raise ValueError(f"expected the number of an epoch, got {epoch!r}", "expect: {25: [0.12, 0.15]}")
        numbers = isinstance(band, list) and all(isinstance(end, int | float) for end in band)
        if not numbers or len(band) != 2 or not 0 <= band[0] <= band[1] <= 1:
            raise ValueError(f"expected [low, high] between 0 and 1 for epoch {epoch}", "expect: {25: [0.12, 0.15]}")
    return {int(epoch): (float(band[0]), float(band[1])) for epoch, band in value.items()}


ConditionText = Annotated[str, AfterValidator(_condition)]
EpochMetric = Annotated[
    str, AfterValidator(_epoch_metric), WithJsonSchema({"type": "string", "enum": list(EPOCH_METRICS)})
]
Expected = Annotated[
    dict[int, tuple[float, float]],
    BeforeValidator(_expected),
    WithJsonSchema(
        {
            "type": "object",
            "patternProperties": {"^[0-9]+$": {"type": "array", "items": {"type": "number"}, "minItems": 2}},
            "additionalProperties": False,
        }
    ),
]

# A few arguments for editors to complete; `check` knows all of them.
_USUAL_ARGUMENTS = (
    "epochs imgsz batch patience optimizer lr0 lrf momentum weight_decay warmup_epochs cos_lr freeze amp workers "
    "nbs close_mosaic mosaic mixup fliplr flipud degrees translate scale hsv_h hsv_s hsv_v fraction cache dropout"
)
Recipe = Annotated[
    dict[str, Any],
    BeforeValidator(_recipe),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "object", "properties": {name: {} for name in _USUAL_ARGUMENTS.split()}},
                {"type": "string", "description": "epochs=3 imgsz=256"},
            ]
        }
    ),
]

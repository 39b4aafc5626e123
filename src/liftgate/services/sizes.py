"""How many images and groups a claim needs: from numbers, or from the predictions of a pilot."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Literal, overload

from liftgate.data.detections import PredictionsSource
from liftgate.errors import UsageError
from liftgate.evaluation.group_hints import group_caveats
from liftgate.evaluation.oks_sigmas import Sigmas
from liftgate.evaluation.sample_size import SizeAnswer, size_from_pilot
from liftgate.evaluation.sample_size import size_difference as size_difference
from liftgate.evaluation.sample_size import size_kappa as size_kappa
from liftgate.evaluation.sample_size import size_rate as size_rate
from liftgate.evaluation.sample_size import size_seeds as size_seeds
from liftgate.evaluation.spec import ComparisonSpec, require_possible_difference, require_reachable_margin
from liftgate.evaluation.truth import Truth, read_truth
from liftgate.progress import Progress, silent
from liftgate.services.evidence import compare
from liftgate.suggestions import suggestion


def size_models(
    truth: Truth,
    control: PredictionsSource,
    treatment: PredictionsSource,
    difference: float,
    *,
    metric: str = "mAP50-95",
    margin: float = 0.0,
    groups: str | None = None,
    split: str | None = None,
    images: Path | str | None = None,
    level: float = 0.95,
    power: float = 0.8,
    conf: float = 0.25,
    sigmas: Sigmas = None,
    common: bool = False,
    open_anyway: str | None = None,
    progress: Progress = silent,
) -> SizeAnswer:
    """Return how many groups are needed to show a `difference` of two models, planned from a pilot's predictions.

    Beside the images drawn at random: how many by design (`data sample --for compare`), and how many judgements.

    Args:
        truth: as in `compare`.
        control: as in `compare`.
        treatment: as in `compare`.
        difference: the difference to detect.
        metric: as in `compare`.
        margin: as in `compare`.
        groups: as in `compare`.
        split: as in `compare`.
        images: as in `compare`.
        level: as in `compare`.
        power: probability that the comparison passes.
        conf: as in `compare`.
        sigmas: as in `compare`.
        common: as in `compare`.
        open_anyway: as in `compare`.
        progress: as in `compare`.

    Raises:
        Refused: as `compare`.
        UsageError: as `compare`, the pilot has no interval, or the difference is not above the margin.
    """
    from liftgate.services.size_ways import with_ways  # judging draws pictures: other measurements need none

    ComparisonSpec(metric, margin, level=level, conf=conf, sigmas=sigmas).validate()
    require_reachable_margin(metric, margin)
    require_possible_difference(metric, difference)
    dataset = read_truth(truth, groups=groups, split=split, images=images, progress=progress)
    pilot = compare(
        dataset, control, treatment, metric=metric, margin=margin, level=level, conf=conf, sigmas=sigmas,
        common=common, open_anyway=open_anyway, progress=progress,
    )  # fmt: skip
    answer = size_from_pilot(pilot, difference, margin=margin, level=level, power=power)
    answer = replace(answer, notes=group_caveats(dataset))
    return with_ways(answer, dataset, (control, treatment), metric=metric, conf=conf, common=common)


@overload
def size(
    claim: Literal["rate", "difference"], first: float, second: float, /, *, per_group: float = 1.0, icc: float = 0.0,
    level: float = 0.95, power: float = 0.8, have: int | None = None,
) -> SizeAnswer: ...  # fmt: skip
@overload
def size(
    claim: Literal["kappa"], kappa: float, half_width: float, /, *, prevalence: float = 0.5, level: float = 0.95,
    have: int | None = None,
) -> SizeAnswer: ...  # fmt: skip
@overload
def size(
    claim: Literal["seeds"], probability: float = 0.75, /, *, have: int | None = None, tail: float = 0.05
) -> SizeAnswer: ...
@overload
def size(
    claim: Literal["models"], truth: Truth, control: PredictionsSource, treatment: PredictionsSource,
    difference: float, /, *, metric: str = "mAP50-95", margin: float = 0.0, groups: str | None = None,
    split: str | None = None, images: Path | str | None = None, level: float = 0.95, power: float = 0.8,
    conf: float = 0.25, sigmas: Sigmas = None, common: bool = False, open_anyway: str | None = None,
    progress: Progress = silent,
) -> SizeAnswer: ...  # fmt: skip
def size(claim: str, /, *values: object, **options: object) -> SizeAnswer:
    """Return how much data a claim needs: the function `size_CLAIM`, with its arguments.

    Args:
        claim: `rate`, `difference`, `models`, `kappa` or `seeds`.
        values: the positional arguments of `size_rate`, `size_difference`, `size_models`, `size_kappa`, `size_seeds`.
        options: its keyword arguments.

    Raises:
        UsageError: no such claim, or as that function.

    >>> size("rate", 0.95, 0.98).images
    313
    """
    questions: dict[str, Callable[..., SizeAnswer]] = {
        "rate": size_rate,
        "difference": size_difference,
        "models": size_models,
        "kappa": size_kappa,
        "seeds": size_seeds,
    }
    if claim not in questions:
        raise UsageError(f"no claim {claim!r}", hint=suggestion(claim, questions))
    return questions[claim](*values, **options)

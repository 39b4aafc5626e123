"""What the epochs that are left would bring: the curve of a run's metric, extrapolated."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from liftgate.diagnosis.trace import Trace, read_trace
from liftgate.errors import DataError, UsageError
from liftgate.ledger.recorded_files import require_unchanged_run
from liftgate.stats.learning_curve import LEAST_EPOCHS, Forecast, forecast

_METRICS = ("metrics/mAP50-95(B)", "metrics/mAP50(B)", "metrics/accuracy_top1")


@dataclass(frozen=True, slots=True)
class MetricForecast:
    """One metric of a run after more epochs."""

    metric: str
    last: float
    """Its last value"""
    after: int
    """Epoch of that value"""
    forecast: Forecast

    @property
    def text(self) -> str:
        """The forecast in a sentence."""
        found = self.forecast
        return (
            f"{self.metric} {self.last:.3f} after epoch {self.after}; after epoch {found.at} about {found.value:.3f} "
            f"[{found.low:.3f}, {found.high:.3f}] ({found.level:.0%} interval, POW4 and MMF4, {found.epochs} epochs)"
        )

    def to_dict(self) -> dict[str, object]:
        """Return plain JSON values."""
        return {"metric": self.metric, "last": self.last, "last_epoch": self.after, **self.forecast._asdict()}


def forecast_run(run: Path | str, at: int | None = None) -> list[MetricForecast]:
    """Return where the metrics of an Ultralytics run will be.

    Args:
        run: run folder or results.csv.
        at: epoch of the forecast; None: the last one that args.yaml plans.

    Raises:
        DataError: no readable results.csv, rows of several runs mixed, fewer than eight epochs, or metrics that never
            moved or are none.
        UsageError: `at` is not beyond the epochs that are there, or is more than four times as many.
    """
    trace = read_trace(Path(run))
    require_unchanged_run(trace.source.parent)
    if trace.interleaved:
        raise DataError("rows of several runs are mixed: there is no curve to go on from", where=trace.source)
    done = int(trace.epochs[-1]) if len(trace) else 0
    end = _planned(trace) if at is None else at
    if end <= done:
        raise UsageError(
            "no epoch is left to look forward to", where=trace.source, expected=f"after epoch {done}", got=end,
            hint=f"--forecast EPOCH, at most {4 * done}",
        )  # fmt: skip
    if end > 4 * done:
        raise UsageError(
            "too far to say: a curve is not followed beyond four times its length", where=trace.source,
            expected=f"at most epoch {4 * done}", got=end, hint="let it train on, and ask again",
        )  # fmt: skip
    found, most, still = [], 0, False
    for name in _METRICS:
        values = trace.column(name)
        if values is None:
            continue
        known = np.isfinite(values)
        if (known & (values > 1)).any():
            raise DataError(
                f"{name} is no metric", where=trace.source, expected="values from 0 to 1",
                got=f"{float(values[known].min()):g} to {float(values[known].max()):g}",
            )  # fmt: skip
        most, curve = max(most, int(known.sum())), np.full(done, np.nan)
        curve[trace.epochs - 1] = values
        result = forecast(curve, end)
        still |= result is None and int(known.sum()) >= LEAST_EPOCHS
        if result is not None:
            title = name.removeprefix("metrics/").removesuffix("(B)")
            found.append(MetricForecast(title, float(values[known][-1]), int(trace.epochs[known][-1]), result))
    if not found and still:
        raise DataError(
            "the metric never moved, which shows nothing of where it goes", where=trace.source, got=f"{done} epochs"
        )
    if not found:
        raise DataError(
            "too few epochs to go on from", where=trace.source, expected=f"at least {LEAST_EPOCHS} with a metric",
            got=most,
        )  # fmt: skip
    return found


def _planned(trace: Trace) -> int:
    epochs = trace.args.get("epochs")
    if not isinstance(epochs, int) or isinstance(epochs, bool):
        raise UsageError(
            "how many epochs were planned is not known", where=trace.source, expected="epochs in args.yaml beside it",
            hint="--forecast EPOCH names one",
        )  # fmt: skip
    return epochs

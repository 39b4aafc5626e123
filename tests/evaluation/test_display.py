"""Records in a notebook: short as text, whole as a table, never a number without its sample."""

from __future__ import annotations

import sys
from dataclasses import replace

import pytest

from evaluation.test_compare import two_models
from liftgate.errors import UsageError
from liftgate.evaluation.compare import compare
from liftgate.evaluation.evaluate import evaluate


def test_text_is_one_line_with_interval_sample_and_level() -> None:
    data, control, treatment = two_models()
    text = repr(evaluate(data, control))
    assert text.startswith("Evaluation(mAP50-95 0.") and "\n" not in text
    assert "[0." in text and "60 images, 12 groups, 95%" in text
    assert repr(compare(data, control, treatment)).startswith("Comparison(PASS: mAP50-95 of treatment is")


def test_html_holds_every_metric_and_escapes_names() -> None:
    data, control, treatment = two_models()
    page = evaluate(data, control)._repr_html_()
    assert page.count("<tr>") == 1 + 16 and "bootstrap-se-logit-t" in page and "<td>12</td>" in page
    hostile = replace(data, classes=("<script>",))
    models = [replace(model, classes=("<script>",)) for model in (control, treatment)]
    page = compare(hostile, *models)._repr_html_()
    assert "<script>" not in page and "&lt;script&gt;" in page


def test_without_pandas_the_error_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    data, control, _ = two_models()
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(UsageError, match="pandas is not installed"):
        evaluate(data, control).to_pandas()
    monkeypatch.setitem(sys.modules, "polars", None)
    with pytest.raises(UsageError, match="polars is not installed"):
        evaluate(data, control).to_polars()


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_a_data_frame_has_one_row_per_metric(library: str) -> None:
    pytest.importorskip(library)
    data, control, treatment = two_models()
    frame = getattr(evaluate(data, control), f"to_{library}")()
    assert list(frame["metric"])[:2] == ["mAP50-95", "mAP50"]
    assert {"low", "high", "level", "method", "n_images", "n_groups"} <= set(frame.columns)
    assert list(getattr(compare(data, control, treatment), f"to_{library}")()["of"]) == ["all", "a"]

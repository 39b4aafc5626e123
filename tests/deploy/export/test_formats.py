"""Which formats can be made here: what is missing is named with what installs it, before anything is started."""

from __future__ import annotations

import importlib.util

import pytest

from liftgate.deploy.export.card import FORMATS, PRECISIONS
from liftgate.deploy.export.formats import NEEDS, ExportTarget, plan_targets
from liftgate.errors import UsageError


def test_every_format_but_the_checkpoint_itself_has_its_needs() -> None:
    assert set(NEEDS) == set(FORMATS) - {"pt"}


@pytest.mark.parametrize(
    ("name", "package", "install"),
    [
        ("ncnn", "ncnn, pnnx", "pip install ncnn pnnx"),
        ("tensorrt", "tensorrt", "--on-target"),
        ("litert", "ai_edge_litert, litert_torch", "an environment of its own"),
        ("executorch", "executorch", "an environment of its own"),
    ],
)
def test_a_format_whose_packages_are_missing_is_refused_with_what_installs_them(
    monkeypatch: pytest.MonkeyPatch, name: str, package: str, install: str
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda one: None)
    with pytest.raises(UsageError, match="Liftgate installs nothing by itself") as caught:
        plan_targets([name], ["fp32"])
    hint = str(caught.value.hint)
    assert f"{name} needs {package}: " in hint and install in hint


def test_all_that_is_missing_is_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda one: None)
    with pytest.raises(UsageError) as caught:
        plan_targets(["onnx", "openvino", "ncnn"], ["fp32"])
    assert all(f"{name} needs" in str(caught.value.hint) for name in ("onnx", "openvino", "ncnn"))
    with pytest.raises(UsageError) as caught:
        plan_targets(["openvino"], ["int8"])
    assert "nncf" in str(caught.value.hint)


@pytest.mark.parametrize("name", ["torchscript", "ncnn", "tensorrt", "litert", "executorch"])
def test_int8_that_a_format_does_not_have_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match=f"{name} is not exported in int8") as caught:
        plan_targets([name], ["int8"])
    assert ("--on-target" in str(caught.value.hint)) == (name == "tensorrt")


def test_targets_have_one_order_whatever_is_asked_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda one: object())
    targets = plan_targets(["openvino", "onnx"], ["int8", "fp32"])
    assert [one.name for one in targets] == ["onnx-fp32", "onnx-int8", "openvino-fp32", "openvino-int8"]
    assert ExportTarget("onnx", "fp16").name == "onnx-fp16"


@pytest.mark.parametrize(
    ("formats", "precisions", "message"),
    [
        (["onxx"], ["fp32"], "no format 'onxx'"),
        (["onnx"], ["int4"], "no precision 'int4'"),
        ([], PRECISIONS, "no format is named"),
    ],
)
def test_an_unknown_word_is_one_error(formats: list[str], precisions: list[str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        plan_targets(formats, precisions)

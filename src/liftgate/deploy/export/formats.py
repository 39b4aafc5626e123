"""The formats of an export: which packages and precisions each needs, checked before anything is started."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass

from liftgate.deploy.export.card import FORMATS, PRECISIONS, Format, Precision
from liftgate.errors import UsageError
from liftgate.suggestions import suggestion


@dataclass(frozen=True, slots=True)
class FormatNeeds:
    """What a format needs on this machine."""

    packages: tuple[str, ...]
    """Modules that have to be installed"""
    install: str
    """How to install them"""
    precisions: tuple[Precision, ...]
    int8_packages: tuple[str, ...] = ()
    """Further modules for INT8"""


_EXTRA = "pip install '.[train,export]' in the clone of Liftgate"
_ON_TARGET = "an engine is built on the device that runs it: --on-target writes what that takes"
_TENSORRT = f"pip install tensorrt, on a machine with its GPU; {_ON_TARGET}"
_LITERT = "pip install ai-edge-litert litert-torch, in an environment of its own: they ask for another torch"
NEEDS: dict[Format, FormatNeeds] = {
    "onnx": FormatNeeds(("onnx", "onnxruntime", "onnxslim"), _EXTRA, PRECISIONS),
    "openvino": FormatNeeds(("openvino",), _EXTRA, PRECISIONS, ("nncf",)),
    "torchscript": FormatNeeds((), _EXTRA, ("fp32",)),
    "ncnn": FormatNeeds(("ncnn", "pnnx"), "pip install ncnn pnnx", ("fp32", "fp16")),
    "tensorrt": FormatNeeds(("tensorrt",), _TENSORRT, ("fp32", "fp16")),
    "litert": FormatNeeds(("ai_edge_litert", "litert_torch"), _LITERT, ("fp32",)),
    "executorch": FormatNeeds(("executorch",), "pip install executorch, in an environment of its own", ("fp32",)),
}


@dataclass(frozen=True, slots=True)
class ExportTarget:
    """One export to make."""

    format: Format
    precision: Precision

    @property
    def name(self) -> str:
        """Name of its folder."""
        return f"{self.format}-{self.precision}"


def plan_targets(formats: Sequence[str], precisions: Sequence[str]) -> tuple[ExportTarget, ...]:
    """Return the exports to make: every format at every precision.

    Args:
        formats: such as onnx, openvino.
        precisions: of fp32, fp16, int8.

    Raises:
        UsageError: an unknown word, a precision that a format does not have, or a package that is not installed.
    """
    known = [name for name in FORMATS if name != "pt"]
    _require_known("format", formats, known)
    _require_known("precision", precisions, PRECISIONS)
    chosen = [one for one in known if one in formats]
    targets = tuple(ExportTarget(one, kind) for one in chosen for kind in PRECISIONS if kind in precisions)
    for target in targets:
        if target.precision not in NEEDS[target.format].precisions:
            has = ", ".join(NEEDS[target.format].precisions)
            hint = _ON_TARGET if target.format == "tensorrt" else "leave it out, or export another format"
            what = f"{target.format} is not exported in {target.precision}"
            raise UsageError(what, expected=has, got=target.precision, hint=hint)
    _require_packages(targets)
    return targets


def _require_known(what: str, given: Sequence[str], known: Sequence[str]) -> None:
    if not given:
        raise UsageError(f"no {what} is named", expected=", ".join(known))
    for word in given:
        if word not in known:
            raise UsageError(f"no {what} {word!r}", expected=", ".join(known), got=word, hint=suggestion(word, known))


def _require_packages(targets: Sequence[ExportTarget]) -> None:
    lines = []
    for target in targets:
        needs = NEEDS[target.format]
        wanted = needs.packages + (needs.int8_packages if target.precision == "int8" else ())
        if absent := [name for name in wanted if not _is_installed(name)]:
            lines.append(f"{target.format} needs {', '.join(absent)}: {needs.install}")
    if lines:
        what = "a format's packages are not installed, and Liftgate installs nothing by itself"
        raise UsageError(what, hint="; ".join(dict.fromkeys(lines)))


def _is_installed(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except (ImportError, ValueError):
        return False

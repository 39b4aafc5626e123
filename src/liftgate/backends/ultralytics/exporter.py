"""Exports through Ultralytics' exporter, from a copy of the weights: it writes beside the file that it is given."""

from __future__ import annotations

import contextlib
import importlib.metadata
import shutil
from collections.abc import Iterator
from pathlib import Path

import torch
from ultralytics import YOLO

from liftgate.backends.base import ExportJob
from liftgate.backends.events import Emit, Json
from liftgate.backends.ultralytics.log import LogListener, explain_error
from liftgate.errors import LiftgateError, TrainingError, UsageError

_ARGUMENT = {"tensorrt": "engine"}
"""Our name of a format → Ultralytics' name, where they differ"""
_PACKAGES = (
    "ultralytics",
    "torch",
    "onnx",
    "onnxslim",
    "openvino",
    "ncnn",
    "pnnx",
    "tensorrt",
    "executorch",
    "ai-edge-litert",
    "litert-torch",
)


def export(job: ExportJob, emit: Emit) -> Json:
    """Write a model into `job.out` and return its facts.

    Raises:
        TrainingError: the exporter failed.
        UsageError: the weights are no model of a known task.
    """
    copy = job.out / f"model{Path(job.weights).suffix}"
    with LogListener(emit), _removed(copy):
        shutil.copyfile(job.weights, copy)
        try:
            model = YOLO(str(copy))
            if not isinstance(model.model, torch.nn.Module):
                raise UsageError("only a checkpoint can be exported", where=job.weights, expected="a .pt")
            if model.task not in ("detect", "pose"):
                raise UsageError(
                    "a model of another task", where=job.weights, expected="detect or pose", got=model.task
                )
            written = model.export(
                format=_ARGUMENT.get(job.format, job.format),
                imgsz=job.imgsz or model.overrides.get("imgsz", 640),
                quantize=16 if job.precision == "fp16" else None,
                batch=1,
                # None: the raw output; False: what a model without suppression gives by itself
                nms=True if job.nms else False if getattr(model.model, "end2end", False) else None,
                device=job.device or ("0" if job.format == "tensorrt" else "cpu"),
                simplify=True,
                **({} if job.opset is None else {"opset": job.opset}),
            )
        except LiftgateError:
            raise
        except Exception as error:
            raise explain_error(error, exporting=True) from error
        for cached in job.out.rglob("__pycache__"):  # of scripts that ncnn's converter writes and runs
            shutil.rmtree(cached)
        path = Path(str(written or ""))
        if not written or not path.exists():
            raise TrainingError("the exporter wrote nothing", where=job.weights, got=job.format)
        return _facts(model, path.relative_to(job.out) if path.is_absolute() else path, job)


def _facts(model: YOLO, path: Path, job: ExportJob) -> Json:
    inner = model.model
    head = inner.model[-1]
    imgsz = job.imgsz or model.overrides.get("imgsz", 640)
    sides, stride = list(imgsz) if isinstance(imgsz, list | tuple) else [imgsz, imgsz], int(max(inner.stride))
    return {
        "model": path.as_posix(),
        "task": model.task,
        "classes": [str(inner.names[i]) for i in range(len(inner.names))],
        "keypoints": [int(side) for side in head.kpt_shape] if model.task == "pose" else None,
        "imgsz": [-(-int(side) // stride) * stride for side in sides],  # as the exporter rounds it
        "stride": stride,
        "end2end": bool(getattr(inner, "end2end", False)),
        "versions": _versions(),
    }


def _versions() -> dict[str, str]:
    found = {}
    for name in _PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    return found


@contextlib.contextmanager
def _removed(copy: Path) -> Iterator[None]:
    try:
        yield
    finally:
        copy.unlink(missing_ok=True)

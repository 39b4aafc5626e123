"""Quantise an ONNX or OpenVINO model to INT8, in a child process: `python -m liftgate.deploy.export.quantise JOB.json`.

Convolutions only, weights per channel. What follows the last convolutions of the head (decoding of boxes, sigmoid,
concatenation) stays in float: there boxes of hundreds of pixels and scores below 1 would share one scale of 256 steps,
and every score would become 0.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import msgspec
import numpy as np

from liftgate.backends.sandbox import sandbox_environment
from liftgate.deploy.export.card import InputContract
from liftgate.deploy.runtime.images import read_pixels
from liftgate.deploy.runtime.letterbox import input_tensor, letterbox
from liftgate.documents import load_json
from liftgate.errors import LiftgateError
from liftgate.files import write_json
from liftgate.records import to_record

Kind = Literal["onnx", "openvino"]
METHODS: dict[Kind, str] = {
    "onnx": "ONNX Runtime static QDQ: convolutions only, per channel, ranges by min and max; tail of the head in float",
    "openvino": "NNCF post-training, preset mixed; tail of the head in float",
}
NOTES: dict[Kind, tuple[str, ...]] = {
    "onnx": (
        "on x86 processors without VNNI, ONNX Runtime cuts off sums of 8-bit products unless the session is opened "
        "with session.x64quantprecision=1, as Liftgate opens it: else scores are others than those that were proved",
    ),
    "openvino": (),
}
"""What whoever runs the file elsewhere must know"""


@dataclass(frozen=True, slots=True)
class QuantiseJob:
    """One model to quantise."""

    kind: Kind
    source: str
    """The .onnx or .xml in float; absolute"""
    out: str
    """The file to write; absolute"""
    images: tuple[str, ...]
    """Paths of the calibration images"""
    input: InputContract
    input_name: str
    whole: bool = False
    """Quantise all operations, as the packages do by default: to show what that costs"""


def quantise(job: QuantiseJob) -> None:
    """Run a job in a child process of its own, without access to the user's home or trackers.

    Raises:
        LiftgateError: it failed; the message has the end of its log.
    """
    with tempfile.TemporaryDirectory(prefix="liftgate-quantise-") as scratch:
        folder = Path(scratch)
        path = folder / "job.json"
        write_json(path, msgspec.to_builtins(job))
        # NNCF_CI: its telemetry is off
        environment = sandbox_environment(folder / "home", os.environ) | {"NNCF_CI": "1"}
        done = subprocess.run(
            [sys.executable, "-P", "-m", "liftgate.deploy.export.quantise", str(path)],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )
    lines = [line for line in done.stdout.decode("utf-8", "replace").splitlines() if line.strip()]
    if done.returncode or not Path(job.out).is_file():
        got = " | ".join(lines[-3:])[-400:] or f"exit code {done.returncode}"
        raise LiftgateError("the model could not be quantised", where=job.source, got=got)


def main(argv: Sequence[str]) -> int:
    """Quantise one model; the child's side."""
    job = to_record(load_json(Path(argv[0])), QuantiseJob)
    if job.kind == "onnx":
        _quantise_onnx(job)
    else:
        _quantise_openvino(job)
    return 0


def _tensors(job: QuantiseJob) -> Iterator[np.ndarray[Any, Any]]:
    for image in job.images:
        yield input_tensor(letterbox(read_pixels(Path(image)), job.input).pixels, job.input)


def _quantise_onnx(job: QuantiseJob) -> None:
    import onnx
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self._tensors = _tensors(job)

        def get_next(self) -> dict[str, np.ndarray[Any, Any]] | None:
            tensor = next(self._tensors, None)
            return None if tensor is None else {job.input_name: tensor}

    options: dict[str, object] = {}
    if not job.whole:
        model = onnx.load(job.source)
        excluded = decoding_convolutions(model)
        options = {"op_types_to_quantize": ["Conv"], "per_channel": True, "nodes_to_exclude": excluded}
    quantize_static(
        job.source,
        job.out,
        Reader(),
        quant_format=QuantFormat.QDQ,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
        **options,
    )


def decoding_convolutions(model: Any) -> list[str]:
    """Return the names of convolutions of an ONNX model that only sum up a distribution.

    Their weights are 0, 1, 2 and so on. They decode boxes: part of the tail, not of the network.
    """
    from onnx import numpy_helper

    weights = {one.name: one for one in model.graph.initializer}
    found = []
    for node in model.graph.node:
        if node.op_type == "Conv" and len(node.input) > 1 and node.input[1] in weights:
            values = numpy_helper.to_array(weights[node.input[1]])
            if values.shape[0] == 1 and np.array_equal(values.ravel(), np.arange(values.size)):
                found.append(node.name)
    return found


def _quantise_openvino(job: QuantiseJob) -> None:
    import nncf
    import openvino

    model = openvino.Core().read_model(job.source)
    ignored = None if job.whole else nncf.IgnoredScope(names=tail_operations(model), validate=False)
    quantised = nncf.quantize(
        model,
        nncf.Dataset(list(_tensors(job))),
        preset=nncf.QuantizationPreset.PERFORMANCE if job.whole else nncf.QuantizationPreset.MIXED,
        subset_size=len(job.images),
        ignored_scope=ignored,
    )
    openvino.save_model(quantised, job.out, compress_to_fp16=False)


def tail_operations(model: Any) -> list[str]:
    """Return the names of the operations of an OpenVINO model between the head's last convolutions and the output."""
    found: set[str] = set()
    waiting = [one.get_node() for one in model.outputs]
    while waiting:
        node = waiting.pop()
        name = node.get_friendly_name()
        if name in found or node.get_type_name() == "Constant":
            continue
        if node.get_type_name() == "Convolution" and list(node.output(0).partial_shape)[1].to_string() != "1":
            continue
        found.add(name)
        waiting += [node.input_value(index).get_node() for index in range(node.get_input_size())]
    return sorted(found)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""Runtimes behind one interface: open a model file, give it a tensor, get its output."""

from __future__ import annotations

import contextlib
import os
import platform
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from liftgate.errors import DataError, UsageError

Tensor = NDArray[np.generic]
Shape = tuple[int | None, ...]

_INSTALL = "pip install '.[export]' in the clone of Liftgate"


@dataclass(frozen=True, slots=True)
class Port:
    """One input or output of a model."""

    name: str
    shape: Shape
    """None: any"""
    dtype: str
    """As numpy names it: float32, float16, uint8 …"""


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """What a model file says about itself."""

    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    metadata: Mapping[str, str] = field(default_factory=dict)
    runtime: str = ""
    """Name and version of what runs it"""


class Session(Protocol):
    """A model that is loaded and ready."""

    facts: ModelFacts

    def run(self, tensor: Tensor) -> list[Tensor]:
        """Return the outputs for one input.

        Raises:
            DataError: the runtime cannot compute them, as where a model asks for more memory than there is.
        """


def open_onnx(path: Path, *, threads: int | None = None) -> Session:
    """Open an ONNX file in ONNX Runtime, on the CPU.

    Args:
        path: the .onnx file.
        threads: threads of one inference; None: the runtime's own choice.

    Raises:
        UsageError: onnxruntime is not installed.
        DataError: the file is damaged, a file of its weights is missing, or it needs what the runtime does not have.
    """
    return _OnnxSession(path, threads)


def open_openvino(path: Path, *, threads: int | None = None) -> Session:
    """Open an OpenVINO model (its .xml, or the folder with it) on the CPU; see `open_onnx`."""
    return _OpenvinoSession(path, threads)


PROCESSOR = Path("/proc/cpuinfo")
"""What the kernel says of the processor"""


def _cuts_off_sums(processor: Path) -> bool:
    """Return whether ONNX Runtime adds 8-bit products in 16 bits here, and cuts off what does not fit.

    It does on x86 without VNNI, unless asked for exact sums, so that scores of an INT8 model would be others than on
    the processor that it was proved on. Exact sums take the time of float, so they are asked for there alone.
    """
    if platform.machine().lower() not in ("x86_64", "amd64"):
        return False
    try:
        with processor.open(encoding="utf-8", errors="replace") as lines:
            flags = next((line for line in lines if line.startswith("flags")), "")
    except OSError:
        return True  # unknown: slower, and right
    return re.search(r"\bavx(512)?_vnni\b", flags) is None


class _OnnxSession:
    def __init__(self, path: Path, threads: int | None) -> None:
        os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # before the import, else it writes files
        try:
            import onnxruntime
        except ImportError as error:
            raise UsageError(f"ONNX models need onnxruntime: {error}", where=path, hint=_INSTALL) from None
        _require_file(path)
        _require_utf8(path)
        self._path = path
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4
        if _cuts_off_sums(PROCESSOR):
            options.add_session_config_entry("session.x64quantprecision", "1")
        if threads is not None:
            options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        try:
            self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # the runtime has an exception class for each kind of failure
            raise _explained(error, path) from None
        self.facts = ModelFacts(
            tuple(
                Port(one.name, _sides(one.shape), _DTYPES.get(one.type, one.type)) for one in self._session.get_inputs()
            ),
            tuple(
                Port(one.name, _sides(one.shape), _DTYPES.get(one.type, one.type))
                for one in self._session.get_outputs()
            ),
            dict(self._session.get_modelmeta().custom_metadata_map),
            f"ONNX Runtime {onnxruntime.__version__}",
        )

    def run(self, tensor: Tensor) -> list[Tensor]:
        try:
            outputs: list[Tensor] = self._session.run(None, {self.facts.inputs[0].name: tensor})
        except Exception as error:
            raise _not_run(error, self._path) from None
        return outputs


class _OpenvinoSession:
    def __init__(self, path: Path, threads: int | None) -> None:
        try:
            import openvino
        except ImportError as error:
            raise UsageError(f"OpenVINO models need openvino: {error}", where=path, hint=_INSTALL) from None
        if path.is_dir():
            found = sorted(path.glob("*.xml"))
            if len(found) != 1:
                raise DataError("not one OpenVINO model", where=path, expected="one .xml", got=f"{len(found)}")
            path = found[0]
        _require_file(path)
        _require_utf8(path)
        weights = path.with_suffix(".bin")
        if not weights.is_file():
            raise DataError("the model's weights are missing", where=weights, hint="copy both files, .xml and .bin")
        properties: dict[str, object] = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY"}
        if threads is not None:
            properties["INFERENCE_NUM_THREADS"] = threads
        try:
            self._path = path
            core = openvino.Core()
            model = core.read_model(str(path))
            self._model = core.compile_model(model, "CPU", properties)
        except Exception as error:
            raise _explained(error, path) from None
        self.facts = ModelFacts(
            tuple(_port(one) for one in model.inputs),
            tuple(_port(one) for one in model.outputs),
            {"path": str(path)},
            f"OpenVINO {openvino.__version__.partition('-')[0]}",
        )

    def run(self, tensor: Tensor) -> list[Tensor]:
        try:
            found = self._model(tensor)
        except Exception as error:
            raise _not_run(error, self._path) from None
        return [np.asarray(found[index]) for index in range(len(self.facts.outputs))]


def open_ncnn(path: Path, *, threads: int | None = None) -> Session:
    """Open an ncnn model (the folder of its .param and .bin, as Ultralytics writes it) on the CPU; see `open_onnx`."""
    return _NcnnSession(path, threads)


class _NcnnSession:
    """An ncnn network, whose file says names of inputs and outputs, and no shapes.

    Of others than those with a card, whose hash fits, none is opened: ncnn ends the process where a network is wrong.
    """

    def __init__(self, path: Path, threads: int | None) -> None:
        try:
            import ncnn
        except ImportError as error:
            raise UsageError(f"ncnn models need ncnn: {error}", where=path, hint="pip install ncnn") from None
        found = sorted(path.glob("*.param"))
        if len(found) != 1:
            raise DataError("not one ncnn model", where=path, expected="one .param", got=f"{len(found)}")
        weights = found[0].with_suffix(".bin")
        if not weights.is_file():
            raise DataError("the model's weights are missing", where=weights, hint="copy both files, .param and .bin")
        _require_utf8(path)
        self._ncnn, self._net = ncnn, ncnn.Net()
        options = self._net.opt
        # Numbers of the file as they are: ncnn would compute in 16 bits where the processor can.
        options.use_fp16_packed = options.use_fp16_storage = options.use_fp16_arithmetic = False
        options.use_bf16_storage = options.use_vulkan_compute = False
        if threads is not None:
            options.num_threads = threads
        for file, load in ((found[0], self._net.load_param), (weights, self._net.load_model)):
            if load(str(file)) != 0:
                what = "the file is no model, only a part of one, or has operations that the runtime does not have"
                raise DataError(what, where=file, hint="copy or export it again")
        inputs, outputs = sorted(self._net.input_names()), sorted(self._net.output_names())
        self.facts = ModelFacts(
            tuple(Port(name, (1, 3, None, None), "float32") for name in inputs),
            tuple(Port(name, (1, None, None), "float32") for name in outputs),
            {"path": str(path)},
            f"ncnn {ncnn.__version__}",
        )

    def run(self, tensor: Tensor) -> list[Tensor]:
        extractor = self._net.create_extractor()
        image = np.ascontiguousarray(tensor[0])  # ncnn reads it in place
        extractor.input(self.facts.inputs[0].name, self._ncnn.Mat(image))
        found = []
        for port in self.facts.outputs:
            failed, values = extractor.extract(port.name)
            if failed:
                raise DataError("ncnn gives no output: an input of another size than the model's?", got=port.name)
            found.append(np.array(values)[None])
        return found


class _OpenvinoPort(Protocol):
    """What is used of an input or output of an OpenVINO model."""

    partial_shape: object
    element_type: object

    def get_any_name(self) -> str:
        """Return one of its names."""


def _port(port: _OpenvinoPort) -> Port:
    name = ""
    with contextlib.suppress(RuntimeError):  # an output without a name
        name = port.get_any_name()
    sides = [text.strip() for text in str(port.partial_shape).strip("[]").split(",")]
    shape = tuple(int(text) if text.isdigit() else None for text in sides)
    kind = re.sub(r".*'(\w+)'.*", r"\1", str(port.element_type))
    return Port(name, shape, _DTYPES.get(kind, kind))


_DTYPES = {
    "tensor(float)": "float32",
    "tensor(float16)": "float16",
    "tensor(uint8)": "uint8",
    "tensor(int64)": "int64",
    "f32": "float32",
    "float32": "float32",
    "f16": "float16",
    "u8": "uint8",
    "i64": "int64",
}

_CAUSES = (
    (
        r"[Ee]xternal data path.* (escapes|absolute)|Absolute path|outside (the )?model|path escapes",
        "weights outside",
    ),
    (
        r"external data|External data|file_size|\.data\b.*(No such|not exist)",
        "a file of the model's weights is missing",
    ),
    (
        r"official support for domain|opset \d+ is under development|Unsupported opset|opset_import|ai\.onnx opset"
        r"|unsupported opset: opset\d",
        "it needs a newer opset",
    ),
    (r"Unsupported model IR version", "it needs a newer runtime"),
    (
        r"No Op registered for|is not a registered function|Fatal error: \S+ is not|custom op"
        r"|unsupported opset: |doesn't contain the operation with type",
        "it has operations",
    ),
    (
        r"Protobuf parsing failed|INVALID_PROTOBUF|ModelProto does not have a graph|Unable to read the model"
        r"|pugi::status_ok",
        "damaged",
    ),
    (r"empty weights data|incorrect weights|Empty weights|bin file|out of bounds|weights", "damaged weights"),
)
_WORDS = {
    "weights outside": (
        "the model names a file of weights outside its own folder",
        "Liftgate opens none of these: copy the weights beside the model, or export it again",
    ),
    "a file of the model's weights is missing": ("a file of the model's weights is missing", "copy the whole folder"),
    "it needs a newer opset": ("the model needs an opset that the runtime does not have", "export it at a lower opset"),
    "it needs a newer runtime": (
        "the file is of a newer ONNX than the runtime reads",
        "update onnxruntime, or export it with an older onnx",
    ),
    "it has operations": (
        "the model has operations that the runtime does not have",
        "Liftgate loads no libraries of custom operations: export it without them",
    ),
    "damaged": ("the file is no model, or only a part of one", "copy or export it again"),
    "damaged weights": ("the model's weights are damaged or cut short", "copy or export it again"),
}


def _not_run(error: Exception, path: Path) -> DataError:
    text = " ".join(str(error).split())
    return DataError("the runtime cannot run the model", where=path, got=_shortened(text))


def _explained(error: Exception, path: Path) -> DataError:
    text = " ".join(str(error).split())
    for pattern, kind in _CAUSES:
        if re.search(pattern, text):
            what, hint = _WORDS[kind]
            return DataError(what, where=path, got=_shortened(text), hint=hint)
    return DataError("the runtime cannot open the model", where=path, got=_shortened(text))


def _shortened(text: str) -> str:
    return text if len(text) <= 240 else f"{text[:120]} … {text[-110:]}"


def _sides(shape: list[int | str | None]) -> Shape:
    return tuple(side if isinstance(side, int) and side > 0 else None for side in shape)


def _require_utf8(path: Path) -> None:
    try:
        str(path).encode()
    except UnicodeEncodeError:
        hint = "rename the file or the folder"
        raise DataError("the runtime opens no path that is not UTF-8", where=path, hint=hint) from None


def _require_file(path: Path) -> None:
    if not path.is_file():
        raise DataError("no such model", where=path)

"""INT8 gives the same numbers on processors without VNNI, where ONNX Runtime would cut off sums of products.

Such a processor is this one with CPUID's bits hidden, by benchmarks/without_vnni.c, where the kernel allows that.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from onnx import helper, numpy_helper  # noqa: E402

from liftgate.deploy.runtime.sessions import open_onnx  # noqa: E402

CHANNELS = 32
SUM = 9.0 * CHANNELS
"""Of 3 × 3 products of 1 in each channel: the largest 8-bit values, whose pairs do not fit into 16 bits"""
RUN = """
import sys
from pathlib import Path
import numpy as np
import onnxruntime
from liftgate.deploy.runtime import sessions
image = np.ones((1, 32, 8, 8), np.float32)
plain = onnxruntime.InferenceSession(sys.argv[1], providers=["CPUExecutionProvider"]).run(None, {"images": image})
sessions.PROCESSOR = Path(sys.argv[2])
print(plain[0][0, 0, 4, 4], sessions.open_onnx(Path(sys.argv[1]), threads=1).run(image)[0][0, 0, 4, 4])
"""


def write_convolution(path: Path) -> Path:
    values = {
        "scale": np.float32(1 / 255),
        "zero": np.uint8(0),
        "weights": np.full((CHANNELS, CHANNELS, 3, 3), 127, np.int8),
        "weight_scales": np.full(CHANNELS, 1 / 127, np.float32),
        "weight_zeros": np.zeros(CHANNELS, np.int8),
        "out_scale": np.float32(SUM / 255),
    }
    nodes = [
        helper.make_node("QuantizeLinear", ["images", "scale", "zero"], ["image"]),
        helper.make_node("DequantizeLinear", ["image", "scale", "zero"], ["input"]),
        helper.make_node("DequantizeLinear", ["weights", "weight_scales", "weight_zeros"], ["kernel"], axis=0),
        helper.make_node("Conv", ["input", "kernel"], ["sums"], pads=[1, 1, 1, 1]),
        helper.make_node("QuantizeLinear", ["sums", "out_scale", "zero"], ["found"]),
        helper.make_node("DequantizeLinear", ["found", "out_scale", "zero"], ["output0"]),
    ]
    sides = [1, CHANNELS, 8, 8]
    ports = [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, sides) for name in ("images", "output0")]
    constants = [numpy_helper.from_array(value, name) for name, value in values.items()]
    graph = helper.make_graph(nodes, "sums", ports[:1], ports[1:], constants)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), str(path))
    return path


def test_sums_are_exact_on_this_processor(tmp_path: Path) -> None:
    session = open_onnx(write_convolution(tmp_path / "sums.onnx"), threads=1)
    assert session.run(np.ones((1, CHANNELS, 8, 8), np.float32))[0][0, 0, 4, 4] == pytest.approx(SUM, rel=1e-3)


def test_sums_are_exact_where_the_processor_has_no_vnni(tmp_path: Path) -> None:
    compiler, source = shutil.which("gcc"), Path(__file__).parents[3] / "benchmarks/without_vnni.c"
    described = Path("/proc/cpuinfo")
    if platform.machine() != "x86_64" or not described.is_file() or "cpuid_fault" not in described.read_text():
        pytest.skip("this kernel cannot hide what a processor has")
    if compiler is None:
        pytest.skip("no C compiler")
    hidden = tmp_path / "hidden.so"
    subprocess.run([compiler, "-O1", "-shared", "-fPIC", "-o", str(hidden), str(source)], check=True)
    model, flags = write_convolution(tmp_path / "sums.onnx"), tmp_path / "cpuinfo"
    flags.write_text("processor : 0\nflags : fpu avx avx2 fma\n")  # what the kernel says of such a processor
    done = subprocess.run(
        [sys.executable, "-c", RUN, str(model), str(flags)], capture_output=True, text=True,
        env={**os.environ, "LD_PRELOAD": str(hidden), "ORT_DISABLE_TELEMETRY": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    plain, ours = map(float, done.stdout.split())
    if plain > 0.9 * SUM:
        pytest.skip("this kernel shows what a processor has all the same")
    assert ours == pytest.approx(SUM, rel=1e-3)

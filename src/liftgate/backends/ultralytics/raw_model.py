"""A network alone, from input tensor to raw output: a checkpoint's, or of an export that takes torch's tensors."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
import ultralytics
from numpy.typing import NDArray
from ultralytics import YOLO

from liftgate.backends.ultralytics.log import explain_error
from liftgate.backends.ultralytics.machine import default_device, device_name
from liftgate.backends.ultralytics.safe_loading import demand_safe_loading
from liftgate.errors import LiftgateError, TrainingError

_DEFAULT_SIZE = 640


@dataclass(frozen=True, slots=True)
class RawModel:
    """A network that is loaded, fused and ready."""

    network: Any
    device: torch.device
    classes: tuple[str, ...]
    imgsz: int
    """Side of the square input, pixels"""
    keypoints: tuple[int, int] | None
    """Number of keypoints and of values of each"""
    end_to_end: bool
    """Whether non-maximum suppression is inside"""
    runtime: str

    def run(self, tensor: NDArray[np.generic]) -> NDArray[np.generic]:
        """Return the raw output for a batch.

        Args:
            tensor: (batch, 3, size, size) float32, 0 to 1.
        """
        return _run(self.network, self.device, tensor)


@dataclass(frozen=True, slots=True)
class ExportedProgram:
    """An export that takes torch's tensors: TorchScript or ExecuTorch, on the CPU."""

    network: Any
    runtime: str

    def run(self, tensor: NDArray[np.generic]) -> NDArray[np.generic]:
        """Return the raw output for a batch; see `RawModel.run`."""
        return _run(self.network, torch.device("cpu"), tensor)


def open_exported_program(path: Path, *, threads: int) -> ExportedProgram:
    """Load a TorchScript file, or a folder with an ExecuTorch program.

    Args:
        path: the .torchscript, or the folder of a .pte.
        threads: of one inference.

    Raises:
        TrainingError: it cannot be loaded.
    """
    torch.set_num_threads(threads)
    try:
        if path.is_file():
            network: Any = torch.jit.load(str(path), map_location="cpu").eval()
            return ExportedProgram(network, f"torch {torch.__version__}, TorchScript")
        from executorch.runtime import Runtime

        method = Runtime.get().load_program(str(next(path.rglob("*.pte")))).load_method("forward")
        return ExportedProgram(lambda tensor: method.execute([tensor]), f"ExecuTorch {version('executorch')}")
    except Exception as error:
        raise explain_error(error) from error


def _run(network: Any, device: torch.device, tensor: NDArray[np.generic]) -> NDArray[np.generic]:
    with torch.inference_mode():
        output = network(torch.from_numpy(np.asarray(tensor)).to(device))
        first = output[0] if isinstance(output, list | tuple) else output
        found: NDArray[np.generic] = first.float().cpu().numpy()  # waits for a GPU to finish
    return found


def open_raw_model(path: Path, *, threads: int, imgsz: int | None = None, device: str | None = None) -> RawModel:
    """Load a checkpoint and fuse its layers, as Ultralytics does before it predicts.

    Args:
        path: the .pt.
        threads: of one inference on the CPU.
        imgsz: side of the input; None: that of its training.
        device: cpu, 0, …; None: the first GPU, else the CPU.

    Raises:
        TrainingError: it cannot be loaded.
    """
    demand_safe_loading()
    torch.set_num_threads(threads)
    chosen = (device or default_device()).split(",")[0]
    place = torch.device(f"cuda:{chosen}" if chosen.isdecimal() else chosen)
    try:
        model = YOLO(str(path))
        network: Any = model.model
        if not isinstance(network, torch.nn.Module):
            raise TrainingError("the checkpoint holds no network", where=path)
        network = network.float().fuse(verbose=False).eval().to(place)
    except LiftgateError:
        raise
    except Exception as error:
        raise explain_error(error) from error
    head = network.model[-1]
    size = imgsz or model.overrides.get("imgsz") or _DEFAULT_SIZE
    shape = getattr(head, "kpt_shape", None)
    names = network.names
    return RawModel(
        network=network,
        device=place,
        classes=tuple(str(names[key]) for key in range(len(names))),
        imgsz=int(max(size) if isinstance(size, list | tuple) else size),
        keypoints=None if shape is None else (int(shape[0]), int(shape[1])),
        end_to_end=bool(getattr(head, "end2end", False)),
        runtime=f"torch {torch.__version__} on {device_name(place)}, Ultralytics {ultralytics.__version__}",
    )

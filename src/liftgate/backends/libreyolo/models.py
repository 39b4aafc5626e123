"""Models of LibreYOLO by a description or a checkpoint: which family and size, loaded without running its pickles."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from liftgate.documents import DocumentError, load_yaml
from liftgate.errors import UsageError

FAMILIES = {"yolox": ("yolox", "YOLOX"), "dfine": ("dfine", "DFINE")}
"""Family → module below libreyolo.models, and the middle of its class names; those that the contract is tested with"""


@dataclass(frozen=True, slots=True)
class Described:
    """Start weights: a checkpoint of a family and size, or these two alone, for a training from scratch."""

    family: str
    size: str
    path: Path | None
    """The checkpoint; None: from scratch"""
    classes: tuple[str, ...] = ()
    """Of the checkpoint"""


def describe(weights: str) -> Described:
    """Return what start weights are, without following the instructions of their pickle.

    Args:
        weights: a checkpoint that LibreYOLO trained, or a YAML with the key `libreyolo`, such as `libreyolo: yolox-n`.

    Raises:
        UsageError: they are neither, or of a family that is not supported.
    """
    path = Path(weights)
    if path.suffix in (".yaml", ".yml"):
        try:
            raw = load_yaml(path)
            family, _, size = str(raw["libreyolo"]).partition("-")
        except (OSError, DocumentError, KeyError, TypeError) as error:
            hint = "a YAML with one line, `libreyolo: yolox-n`, trains that model from scratch"
            raise UsageError("no description of a LibreYOLO model", where=weights, hint=hint) from error
        return _known(Described(family, size, None), weights)
    try:
        stored = torch.load(path, map_location="cpu", weights_only=True)
        names = stored["names"]
        classes = tuple(str(names[i]) for i in range(int(stored["nc"])))
        found = Described(str(stored["model_family"]), str(stored["size"]), path, classes)
    except FileNotFoundError:
        raise UsageError("no such weights", where=weights, hint="put the file there, or name another") from None
    except Exception as error:  # of a pickle that would run something, a torn file, or another trainer's
        got = str(error).splitlines()[0][:120] if str(error) else type(error).__name__
        hint = "a checkpoint that LibreYOLO trained? Its converted weights need its metadata"
        raise UsageError("the weights cannot be loaded", where=weights, got=got, hint=hint) from error
    return _known(found, weights)


def _known(described: Described, weights: str) -> Described:
    if described.family not in FAMILIES:
        raise UsageError(
            "a model family that Liftgate does not train", where=weights, expected=", ".join(FAMILIES),
            got=described.family or "none",
        )  # fmt: skip
    sizes = _model_class(described.family).INPUT_SIZES
    if described.size not in sizes:
        raise UsageError("no such size", where=weights, expected=", ".join(sizes), got=described.size or "none")
    return described


def _model_class(family: str) -> Any:
    module, name = FAMILIES[family]
    return getattr(importlib.import_module(f"libreyolo.models.{module}.model"), f"Libre{name}")


def build(described: Described, *, n_classes: int, seed: int, device: str) -> Any:
    """Return LibreYOLO's model: loaded, or with the random weights of a seed.

    Args:
        described: what it is.
        n_classes: of a model from scratch.
        seed: of the random weights.
        device: cpu, 0, …
    """
    kind = _model_class(described.family)
    if described.path is None:
        return kind._from_scratch(size=described.size, nb_classes=n_classes, device=device, seed=seed)
    return kind(str(described.path), size=described.size, nb_classes=len(described.classes), device=device)


def trainer_place(family: str) -> tuple[Any, str]:
    """Return the module in which `train` looks its trainer up, and the trainer's name there."""
    module, name = FAMILIES[family]
    return importlib.import_module(f"libreyolo.models.{module}.trainer"), f"{name}Trainer"

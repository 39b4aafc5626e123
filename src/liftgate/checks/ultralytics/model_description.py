"""Find parts of a model YAML that would run as code: Ultralytics evaluates `activation` and calls layers by name."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from liftgate.documents import DocumentError, load_yaml
from liftgate.errors import DataError

_ACTIVATION = re.compile(r"(torch\.)?nn\.[A-Z]\w*\((\s*(\w+\s*=\s*)?(-?[\d.]+(e-?\d+)?|True|False|None)\s*,?)*\)")
_LAYER = re.compile(r"((torch\.)?nn\.|torchvision\.ops\.)?(v\d+)?[A-Z]\w*")


def is_plain_activation(text: str) -> bool:
    """Return whether a model's `activation` is a layer of torch.nn with plain arguments.

    >>> is_plain_activation("torch.nn.LeakyReLU(0.1, inplace=True)"), is_plain_activation("exec('import os')")
    (True, False)
    """
    return len(text) < 200 and _ACTIVATION.fullmatch(text.strip()) is not None


def hostile_layers(rows: Iterable[object]) -> Iterator[str]:
    """Yield the names of layers that are none, out of rows [from, repeats, layer, arguments]."""
    for row in rows:
        layer = row[2] if isinstance(row, list | tuple) and len(row) > 2 else None
        if isinstance(layer, str) and not _LAYER.fullmatch(layer):
            yield layer


def hostile_parts(path: Path) -> tuple[str, ...]:
    """Return the parts of a model YAML that would run as code; empty where it only builds layers.

    Raises:
        DataError: it is no YAML of a model, or too large for one.
    """
    try:
        document = load_yaml(path)
    except (DocumentError, OSError) as error:
        raise DataError("the model YAML cannot be read", where=path, got=error) from error
    if not isinstance(document, Mapping):
        raise DataError("a model YAML is a mapping", where=path, expected="backbone, head", got=type(document).__name__)
    found = []
    activation = document.get("activation")
    if activation is not None and not (isinstance(activation, str) and is_plain_activation(activation)):
        found.append(f"activation: {str(activation)[:120]}")
    for part in ("backbone", "head"):
        rows = document.get(part)
        found += [f"{part}: {layer[:120]}" for layer in hostile_layers(rows if isinstance(rows, list) else [])]
    return tuple(found)

"""Cards for tests: a sound one, with a file beside it."""

from __future__ import annotations

from pathlib import Path

from liftgate.deploy.export.card import ExportCard, InputContract, OutputContract, Source
from liftgate.deploy.export.card_file import card_files

WEIGHTS = Source("best.pt", "ab" * 32, "AGPL-3.0")


def sound_card(folder: Path, content: bytes = b"a model", weights: Source = WEIGHTS) -> ExportCard:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.onnx").write_bytes(content)
    return ExportCard(
        format="onnx",
        precision="fp32",
        task="detect",
        model="model.onnx",
        files=card_files(folder, "model.onnx"),
        input=InputContract(height=640, width=640),
        output=OutputContract(layout="anchors", shape=(1, 6, 8400), classes=("cat", "dog")),
        weights=weights,
        opset=18,
        versions=(("onnx", "1.23.2"),),
    )

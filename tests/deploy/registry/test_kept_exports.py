"""Exports of other weights than a version's: refused when they come, not used where an older Liftgate took one."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

import liftgate
from liftgate.cli import main
from liftgate.deploy.export.card import Source
from liftgate.deploy.export.finish import Origin
from liftgate.deploy.registry.store import EXPORTS, Registry, hashes_below
from liftgate.deploy.registry.version import ModelVersion
from liftgate.deploy.serving.champion import RegistrySource, Thresholds
from liftgate.errors import DataError
from liftgate.ledger.model_records import ModelExportEntry

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from deploy.colours import write_images
from services.planted_exports import write_export

OTHER = "made from other weights than those of v0"


def of_weights(folder: Path, sha256: str) -> Path:
    return write_export(folder, Origin(Source("best.pt", sha256)))


@pytest.fixture
def version(registered: Callable[[int], Path]) -> ModelVersion:
    return liftgate.show_model("v0", registry=registered(1))


def taken_by_an_older_liftgate(version: ModelVersion, export: Path) -> None:
    place = f"{EXPORTS}/{export.name}"
    home = version.folder / place
    home.parent.mkdir(exist_ok=True)
    export.rename(home)
    files = {f"{place}/{name}": content for name, content in hashes_below(home).items()}
    Registry(version.folder.parent).ledger.add(ModelExportEntry("v0", place, files, "somebody"))


def test_an_export_of_other_weights_is_not_taken(
    version: ModelVersion, study: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    registry = version.folder.parent
    other = of_weights(tmp_path / "several" / "int8", "cd" * 32)
    with pytest.raises(DataError, match=OTHER) as refused:
        liftgate.add_export("v0", other, registry=registry)
    assert refused.value.got == "cdcdcdcdcdcd (best.pt)" and version.weights_hash[:12] in str(refused.value.expected)
    assert main(["models", "attach", "v0", str(other), "--registry", str(registry)]) == 2
    assert OTHER in capsys.readouterr().err
    with pytest.raises(DataError, match=r"made from other weights than those of v0\.1"):
        liftgate.add_model(study, registry=registry, exports={"int8": other})
    assert [one.version for one in liftgate.list_models(registry=registry)] == ["v0"], "nothing is registered by half"
    with pytest.raises(DataError, match=OTHER):
        liftgate.add_export("v0", other.parent, registry=registry, name="folder-of-exports")
    assert liftgate.verify_models(registry=registry).ok
    own = of_weights(tmp_path / "own", version.weights_hash)
    assert liftgate.add_export("v0", own, registry=registry).exports == ("exports/own",)


def test_an_export_is_taken_whose_own_file_is_the_version(tmp_path: Path) -> None:
    registry, export = tmp_path / "models", of_weights(tmp_path / "onnx", "ab" * 32)
    liftgate.add_model(export / "model.onnx", registry=registry)
    assert liftgate.add_export("v0", export, registry=registry).exports == ("exports/onnx",)


def test_a_full_disk_is_the_registrys_and_not_the_exports(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    registry, export = tmp_path / "models", of_weights(tmp_path / "onnx", "ab" * 32)
    liftgate.add_model(export / "model.onnx", registry=registry)
    words = ["models", "attach", "v0", str(export), "--registry", str(registry)]

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "sendfile", full)  # of shutil, which then names source and target
        assert main(words) == 1
    said = capsys.readouterr().err
    assert "make room on the disk" in said and f"({registry}/.export." in said and f"({export}" not in said
    assert liftgate.verify_models(registry=registry).ok and main(words) == 0


def test_one_that_an_older_liftgate_took_is_named_and_not_used(version: ModelVersion, tmp_path: Path) -> None:
    registry = version.folder.parent
    images = write_images(tmp_path / "set", 6).parent / "images/test"
    taken_by_an_older_liftgate(version, of_weights(tmp_path / "onnx", "cd" * 32))
    (damage,) = liftgate.verify_models(registry=registry).damages
    assert damage.file == "v0/exports/onnx" and OTHER in damage.problem
    inside = version.folder / "exports/onnx"
    uses: list[Callable[[], object]] = [
        lambda: liftgate.promote("v0", registry=registry),
        lambda: liftgate.promote("v0", registry=registry, override="it is urgent"),
        lambda: RegistrySource(Registry(registry), Thresholds(), "v0").load(),
        lambda: RegistrySource(Registry(registry), Thresholds(), "v0", "onnx").load(),
        lambda: liftgate.predict(inside, images),
        lambda: liftgate.predict(inside / "model.onnx", images),
        lambda: liftgate.bench([inside], images=images, blocks=1, seconds=0.05, batches=[1]),
        lambda: liftgate.prove_exports(inside, [inside], tmp_path / "set/data.yaml", split="test"),
    ]
    for number, use in enumerate(uses):
        with pytest.raises(DataError) as refused:
            use()
        assert OTHER in str(refused.value), number
    taken_by_an_older_liftgate(version, of_weights(tmp_path / "own", version.weights_hash))
    assert RegistrySource(Registry(registry), Thresholds(), "v0", "own").load().version == "v0"


def test_a_card_without_a_hash_of_itself_is_not_used_either(version: ModelVersion, tmp_path: Path) -> None:
    own = of_weights(tmp_path / "own", version.weights_hash)
    document = json.loads((own / "card.json").read_text())
    del document["card_sha256"]
    (own / "card.json").write_text(json.dumps(document))
    taken_by_an_older_liftgate(version, own)
    registry = version.folder.parent
    (damage,) = liftgate.verify_models(registry=registry).damages
    assert damage.file == "v0/exports/own" and "no hash of itself" in damage.problem
    with pytest.raises(DataError, match="no hash of itself"):
        liftgate.promote("v0", registry=registry)

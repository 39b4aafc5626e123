"""Registering a version: its files and their names, from the study's ledger, without opening a lockbox."""

from __future__ import annotations

import json
import os
import pickle
import resource
import signal
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

import liftgate
from deploy.export.cards import sound_card
from deploy.registry.conftest import run_study
from liftgate.cli import main
from liftgate.deploy.export.card import Source
from liftgate.deploy.export.card_file import write_card
from liftgate.deploy.registry.version import ModelVersion, next_version, parse_version
from liftgate.errors import DataError, UsageError
from liftgate.hashing import file_hash
from liftgate.ledger import Ledger
from liftgate.ledger.records import LockboxEntry
from liftgate.ledger.results import RunEntry
from liftgate.study.records import Study
from pipeline.gated import wait_until
from processes import running


def ledger_of(study: Path) -> Ledger:
    return Ledger(study.parent / "runs/colours/ledger.sqlite")


def weights_of(study: Path, arm: str = "long") -> Path:
    (found,) = [one.result for one in ledger_of(study).records(RunEntry) if one.result.arm == arm]
    return study.parent / "runs/colours" / found.best


def test_a_version_holds_the_products_by_their_names(study: Path, registry: Path) -> None:
    version = liftgate.add_model(study, registry=registry, name="yolov8n_lbzf")
    assert version.folder == registry / "v0" and version.weights.name == "yolov8n_lbzf_v0.pt"
    names = {path.name for path in version.folder.iterdir()}
    assert {"eval_v0.json", "dataset_split_v0.csv", "data_v0.yaml", "model_card_v0.md", "verdict_v0.json"} <= names
    assert {"data_card_v0.json", "results_v0.csv", "args_v0.yaml", "study_v0.yaml", "ledger_v0.sqlite"} <= names
    assert file_hash(version.weights) == file_hash(weights_of(study)) == version.weights_hash
    assert {name: file_hash(version.folder / name) for name in version.files} == dict(version.files)


def test_versions_count_up_and_keep_their_name(registered: Callable[[int], Path], study: Path) -> None:
    registry = registered(2)
    liftgate.add_model(study, registry=registry, version="v1", name="other")
    liftgate.add_model(study, registry=registry, arm="short")
    versions = liftgate.list_models(registry=registry)
    assert [one.version for one in versions] == ["v0", "v0.1", "v1", "v1.1"]
    assert [one.weights.name for one in versions][1:] == ["start_colours_v0.1.pt", "other_v1.pt", "other_v1.1.pt"]


def test_the_evaluation_is_the_studys_own_and_no_lockbox_is_opened_again(study: Path, registry: Path) -> None:
    openings = ledger_of(study).records(LockboxEntry)
    before = ledger_of(study).head
    version = liftgate.add_model(study, registry=registry)
    assert openings and ledger_of(study).head == before, "registering appends nothing to the study's ledger"
    ours = json.loads(version.product("eval", ".json").read_text())
    (file,) = (study.parent / "runs/colours/evaluations").glob("long-seed-0-*.json")
    theirs = json.loads(file.read_text())
    assert {name: ours[name] for name in theirs} == theirs
    assert ours["intervals"]["mAP50"][0] > 0 and ours["n_groups"] == 12 and ours["per_class"] and ours["method"]
    assert (ours["on"], ours["arm"], ours["all_images"], ours["verdict"]["word"]) == (
        "scenes.test",
        "long",
        True,
        "PASS",
    )
    assert len(ours["images"]) == 12


def test_the_split_is_the_data_sets_own_or_the_frozen_one(study: Path, registry: Path) -> None:
    version = liftgate.add_model(study, registry=registry)
    rows = version.product("dataset_split", ".csv").read_text().splitlines()
    assert rows[0] == "image,group,split" and len(rows) == 1 + 24 + 12 + 12
    assert sum(row.endswith(",test") for row in rows) == 12


def test_the_card_says_what_the_verdict_says_and_what_it_does_not(study: Path, registry: Path) -> None:
    version = liftgate.add_model(study, registry=registry, weights_licence="AGPL-3.0")
    text = version.product("model_card", ".md").read_text()
    verdict = json.loads(version.product("verdict", ".json").read_text())
    assert verdict["gate_hash"] in text and "Verdict: PASS" in text and "12 images in 12 groups" in text
    assert verdict["rule"]["margin"] == 0.05 and verdict["result"]["comparison"]["verdict"] == "PASS"
    assert "What the verdict does not say" in text and "this checkpoint" in text and "confounded" in text
    assert "AGPL-3.0" in text and "CC-BY-4.0 (keep the notice, name the authors)" in text
    data = json.loads(version.product("data_card", ".json").read_text())
    assert (
        data["licence"] == "CC-BY-4.0" and data["trained_on"] == ["scenes"] and data["measured_on"] == ["scenes.test"]
    )
    assert {row["split"]: row["n_images"] for row in data["datasets"][0]["splits"]} == {
        "train": 24,
        "val": 12,
        "test": 12,
    }


@pytest.mark.parametrize(("backend", "licence"), [("libreyolo", "MIT"), ("ultralytics", "AGPL-3.0")])
def test_the_card_says_the_licence_of_the_arms_trainer(
    study: Path, registry: Path, monkeypatch: pytest.MonkeyPatch, backend: str, licence: str
) -> None:
    """The arm was trained by the toy backend; nothing but its name matters for the line."""
    monkeypatch.setattr(Study, "backend_of", lambda self, arm: backend if arm.name == "long" else "toy")
    version = liftgate.add_model(study, registry=registry, arm="long")
    assert version.entry.weights_licence == licence
    lines = version.product("model_card", ".md").read_text().splitlines()
    assert f"- weights: {licence}" in lines
    assert any("AGPL" in line for line in lines) == (licence == "AGPL-3.0")


@pytest.mark.parametrize(
    ("says", "given", "licence"),
    [
        ({"license": "AGPL-3.0 License (https://ultralytics.com/license)"}, None, "AGPL-3.0"),
        ({"license": "AGPL-3.0"}, "Enterprise", "Enterprise"),
        ({}, None, None),
    ],
)
def test_a_checkpoint_alone_has_the_licence_that_it_says(
    registry: Path, tmp_path: Path, says: dict[str, str], given: str | None, licence: str | None
) -> None:
    with zipfile.ZipFile(tmp_path / "alone.pt", "w") as archive:
        archive.writestr("alone/data.pkl", pickle.dumps({"version": "8.4.1", **says}, protocol=2))
    version = liftgate.add_model(tmp_path / "alone.pt", registry=registry, weights_licence=given)
    assert version.entry.weights_licence == licence
    assert f"- weights: {licence or 'unknown'}" in version.product("model_card", ".md").read_text().splitlines()


def test_an_unknown_licence_is_not_written_as_none_needed(study: Path, registry: Path) -> None:
    changed = yaml.safe_load(study.read_text())
    del changed["datasets"]["scenes"]["licence"]
    study.write_text(yaml.safe_dump(changed, sort_keys=False))
    liftgate.run(study)
    version = liftgate.add_model(study, registry=registry)
    assert version.entry.data_licence is None and version.entry.weights_licence is None
    text = version.product("model_card", ".md").read_text()
    assert "training data: unknown, which allows nothing for certain" in text and "weights: unknown" in text


def test_names_of_others_are_made_visible_in_the_card(study: Path, registry: Path) -> None:
    changed = yaml.safe_load(study.read_text()) | {"question": "a <b>\x1b[2J`x`\u202e | y"}
    study.write_text(yaml.safe_dump(changed, sort_keys=False))
    liftgate.run(study)
    version = liftgate.add_model(study, registry=registry, name="../../etc/\u202epasswd")
    assert version.weights.parent == registry / "v0" and version.weights.name == "etc-passwd_v0.pt"
    text = version.product("model_card", ".md").read_text()
    assert "\x1b" not in text and "\u202e" not in text and "<b>" not in text.replace("\\<b\\>", "")


def test_a_file_without_a_study_is_a_version_without_a_verdict(tmp_path: Path, registry: Path) -> None:
    (tmp_path / "old.onnx").write_bytes(b"weights of last year")
    version = liftgate.add_model(tmp_path / "old.onnx", registry=registry)
    assert version.weights.name == "old_v0.onnx" and version.entry.verdict is None
    card = version.product("model_card", ".md").read_text()
    assert "Nothing shows that it is good enough" in card and "weights: unknown" in card
    with pytest.raises(UsageError, match="no model to register"):
        liftgate.add_model(tmp_path / "nowhere.pt", registry=registry)
    (tmp_path / "empty.onnx").touch()
    with pytest.raises(DataError, match="the file is empty"):
        liftgate.add_model(tmp_path / "empty.onnx", registry=registry)


def made_from(version: ModelVersion, folder: Path) -> Path:
    """An export of a version's weights."""
    write_card(sound_card(folder, weights=Source("best.pt", version.weights_hash)), folder)
    return folder


def test_exports_are_kept_with_a_version_at_once_or_later(study: Path, registry: Path, tmp_path: Path) -> None:
    folder = made_from(liftgate.add_model(study, registry=tmp_path / "elsewhere"), tmp_path / "onnx-fp32")
    (tmp_path / "model.engine").write_bytes(b"engine")
    version = liftgate.add_model(study, registry=registry, exports={"onnx": folder})
    assert version.exports == ("exports/onnx",) and "exports/onnx/card.json" in version.files
    version = liftgate.add_export("v0", tmp_path / "model.engine", registry=registry)
    assert version.exports == ("exports/model", "exports/onnx")
    assert liftgate.verify_models(registry=registry).ok
    assert not liftgate.add_export("v0", tmp_path / "model.engine", registry=registry).changed, "the same once more"
    (tmp_path / "model.engine").write_bytes(b"another engine")
    with pytest.raises(UsageError, match="another export of this name"):
        liftgate.add_export("v0", tmp_path / "model.engine", registry=registry)
    (version.folder / "exports/onnx/model.onnx").write_bytes(b"another")
    with pytest.raises(DataError, match="v0 is not as it was registered"):
        liftgate.show_model("v0", registry=registry)


def test_an_export_whose_card_is_of_other_files_is_not_taken(tmp_path: Path, registry: Path) -> None:
    folder = tmp_path / "onnx-fp32"
    write_card(sound_card(folder), folder)
    (folder / "model.onnx").write_bytes(b"another")
    (tmp_path / "a.onnx").write_bytes(b"a")
    with pytest.raises(DataError, match="not the file of the card"):
        liftgate.add_model(tmp_path / "a.onnx", registry=registry, exports={"onnx": folder})
    assert liftgate.add_model(tmp_path / "a.onnx", registry=registry).version == "v0", "no number was used up"
    with pytest.raises(DataError, match="not the file of the card"):
        liftgate.add_export("v0", folder, registry=registry)
    assert liftgate.show_model("v0", registry=registry).exports == ()
    assert liftgate.verify_models(registry=registry).ok


def test_an_attach_that_was_killed_before_its_entry_goes_on(tmp_path: Path, registry: Path) -> None:
    for name in ("a.onnx", "model.engine"):
        (tmp_path / name).write_bytes(name.encode())
    version = liftgate.add_model(tmp_path / "a.onnx", registry=registry)
    (version.folder / "exports/model").mkdir(parents=True)
    (version.folder / "exports/model/model.engine").write_bytes(b"model.engine")  # as killed after the rename
    assert liftgate.show_model("v0", registry=registry).exports == (), "the version is as it was registered"
    (problem,) = liftgate.verify_models(registry=registry).damages
    assert problem.file == "v0/exports/model/model.engine"
    assert liftgate.add_export("v0", tmp_path / "model.engine", registry=registry).exports == ("exports/model",)
    assert liftgate.verify_models(registry=registry).ok
    (version.folder / "exports/other").mkdir()
    (version.folder / "exports/other/model.engine").write_bytes(b"somebody's")
    with pytest.raises(DataError, match="in the way"):
        liftgate.add_export("v0", tmp_path / "model.engine", registry=registry, name="other")
    assert (version.folder / "exports/other/model.engine").read_bytes() == b"somebody's"


@pytest.mark.parametrize(("second", "versions"), [("a.onnx", ["v0"]), ("b.onnx", ["v0", "v0.1"])])
def test_two_at_once_are_one_version_of_the_same_and_two_of_others(
    tmp_path: Path, registry: Path, second: str, versions: list[str]
) -> None:
    for name in ("a.onnx", "b.onnx"):
        (tmp_path / name).write_bytes(os.urandom(8 << 20))
    adds = [command("add", tmp_path / name, "--registry", registry, "--json") for name in ("a.onnx", second)]
    both = [subprocess.Popen(add, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) for add in adds]
    said = [json.loads(process.communicate()[0]) for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert sum(one["changed"] for one in said) == len(versions), "only one registered it, and both name it"
    assert sorted({one["version"] for one in said}) == versions
    check = liftgate.verify_models(registry=registry)
    assert check.ok and [one.version for one in liftgate.list_models(registry=registry)] == versions


def test_what_is_added_again_is_the_version_that_is_there(
    tmp_path: Path, registry: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("a.onnx", "b.onnx", "model.engine"):
        (tmp_path / name).write_bytes(name.encode())
    first = liftgate.add_model(tmp_path / "a.onnx", registry=registry)
    again = liftgate.add_model(tmp_path / "a.onnx", registry=registry)
    assert (first.changed, again.changed) == (True, False) and again.version == first.version
    liftgate.add_model(tmp_path / "b.onnx", registry=registry)
    assert liftgate.add_model(tmp_path / "a.onnx", registry=registry).version == "v0", "one that is older, too"
    assert liftgate.add_model(tmp_path / "a.onnx", registry=registry, version="v0").version == "v0"
    assert main(["models", "add", str(tmp_path / "a.onnx"), "--registry", str(registry)]) == 0
    assert f"v0 holds the same already, nothing was added: {registry / 'v0'}" in capsys.readouterr().out
    others: list[dict[str, Any]] = [
        {"version": "v0.2"}, {"name": "other"}, {"weights_licence": "MIT"},
        {"exports": {"orin": tmp_path / "model.engine"}},
    ]  # fmt: skip
    for number, other in enumerate(others, 2):
        added = [liftgate.add_model(tmp_path / "a.onnx", registry=registry, **other) for _ in range(2)]
        assert [(one.version, one.changed) for one in added] == [(f"v0.{number}", True), (f"v0.{number}", False)]
    assert liftgate.verify_models(registry=registry).ok and len(liftgate.list_models(registry=registry)) == 6


def test_an_arm_is_registered_once_until_its_study_has_more_to_say(study: Path, registry: Path) -> None:
    added = [liftgate.add_model(study, registry=registry) for _ in range(2)]
    assert [(one.version, one.changed) for one in added] == [("v0", True), ("v0", False)]
    gate = {"metric": "mAP50", "treatment": "long", "control": "short", "on": "scenes.test", "margin": 0.04}
    run_study(study.parent, gates={"lift": gate})
    newer = liftgate.add_model(study, registry=registry)
    assert (newer.version, newer.changed) == ("v0.1", True) and newer.weights_hash == added[0].weights_hash


def test_a_version_that_was_changed_by_hand_is_no_answer_to_the_same_model(tmp_path: Path, registry: Path) -> None:
    (tmp_path / "a.onnx").write_bytes(b"a")
    liftgate.add_model(tmp_path / "a.onnx", registry=registry).product("model_card", ".md").write_text("the best")
    assert liftgate.add_model(tmp_path / "a.onnx", registry=registry).version == "v0.1"
    with pytest.raises(UsageError, match="registered already"):
        liftgate.add_model(tmp_path / "a.onnx", registry=registry, version="v0")


def test_what_is_not_what_the_ledger_names_is_not_registered(study: Path, registry: Path) -> None:
    (file,) = (study.parent / "runs/colours/evaluations").glob("long-seed-0-*.json")
    text = file.read_text()
    file.write_text(text.replace('"recall": 0.', '"recall": 1.', 1))
    with pytest.raises(DataError, match="evaluation is not the one in the ledger") as refused:
        liftgate.add_model(study, registry=registry)
    assert str(file) in str(refused.value)
    file.write_text(text)
    weights_of(study).write_bytes(b"other weights")
    with pytest.raises(DataError, match="weights are not those in the ledger"):
        liftgate.add_model(study, registry=registry)
    assert not (registry / "v0").exists()


def test_an_evaluation_whose_file_is_gone_comes_from_the_ledger_and_says_so(study: Path, registry: Path) -> None:
    (file,) = (study.parent / "runs/colours/evaluations").glob("long-seed-0-*.json")
    file.unlink()
    ours = json.loads(liftgate.add_model(study, registry=registry).product("eval", ".json").read_text())
    assert ours["all_images"] is False and ours["metrics"]["mAP50"] > 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"arm": "lnog"}, "did you mean long?"),
        ({"seed": 7}, "was not trained"),
        ({"version": "1.0"}, "not the name of a version"),
        ({"overrides": {"seeds": "[0, 1]"}}, "has not run as it is written"),
    ],
)
def test_a_mistake_registers_nothing(study: Path, registry: Path, arguments: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError) as refused:
        liftgate.add_model(study, registry=registry, **arguments)  # type: ignore[arg-type]
    assert message in str(refused.value) and not registry.exists()


def test_a_version_is_never_replaced(registered: Callable[[int], Path], study: Path) -> None:
    registry = registered(1)
    with pytest.raises(UsageError, match="registered already"):
        liftgate.add_model(study, registry=registry, version="v0", arm="short")


def test_the_results_of_a_study_are_no_registry(study: Path) -> None:
    runs = study.parent / "runs/colours"
    before = ledger_of(study).head
    for call in (lambda: liftgate.list_models(registry=runs), lambda: liftgate.add_model(study, registry=runs)):
        with pytest.raises(UsageError, match="something else than a registry"):
            call()
    assert ledger_of(study).head == before
    with pytest.raises(UsageError, match="no registry of models yet"):
        liftgate.list_models(registry=study.parent / "nowhere")


def test_a_mistyped_registry_leads_to_the_one_beside_it(registered: Callable[[int], Path]) -> None:
    registry = registered(1)
    with pytest.raises(UsageError, match="no registry of models yet") as mistyped:
        liftgate.list_models(registry=registry.with_name(registry.name[:-1]))
    assert mistyped.value.hint == f"did you mean {registry.name}?"
    with pytest.raises(UsageError, match="no registry of models yet") as unlike:
        liftgate.list_models(registry=registry.with_name("0123456789"))
    assert "liftgate models add STUDY" in str(unlike.value.hint)


def command(*words: object) -> list[str]:
    return [sys.executable, "-m", "liftgate", "models", *map(str, words)]


def test_a_full_disk_registers_nothing_and_says_so_in_one_error(tmp_path: Path, registry: Path) -> None:
    (tmp_path / "big.onnx").write_bytes(bytes(1 << 20))

    def limit() -> None:  # the write that passes the limit fails, as on a full disk
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 19, 1 << 19))

    add = command("add", tmp_path / "big.onnx", "--registry", registry)
    done = subprocess.run(add, capture_output=True, text=True, preexec_fn=limit)
    assert done.returncode == 1 and done.stderr.count("error:") == 1 and "Traceback" not in done.stderr
    assert [path.name for path in registry.iterdir()] == ["registry.lock"]
    assert subprocess.run(add, capture_output=True).returncode == 0
    assert liftgate.verify_models(registry=registry).ok


def test_a_registration_that_is_killed_leaves_nothing_half_registered(tmp_path: Path, registry: Path) -> None:
    (tmp_path / "big.onnx").write_bytes(os.urandom(60 << 20))
    add = command("add", tmp_path / "big.onnx", "--registry", registry)
    with running(add, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        wait_until(lambda: list(registry.glob(".v0.*.part/*")), "the copy to begin")
        process.kill()
    assert not (registry / "v0").exists() and list(registry.glob(".v0.*.part"))
    with pytest.raises(UsageError, match="no registry of models yet"):
        liftgate.list_models(registry=registry)
    assert subprocess.run(add, capture_output=True).returncode == 0, "the next one goes on"
    check = liftgate.verify_models(registry=registry)
    assert check.ok and check.versions == 1 and not list(registry.glob(".v0.*.part"))


def test_a_complete_folder_without_an_entry_is_replaced_and_another_is_not(tmp_path: Path, registry: Path) -> None:
    (tmp_path / "a.onnx").write_bytes(b"a")
    liftgate.add_model(tmp_path / "a.onnx", registry=registry)
    for name in ("ledger.sqlite", "ledger.sqlite.head"):  # as killed between the rename and the entry
        (registry / name).unlink()
    assert liftgate.add_model(tmp_path / "a.onnx", registry=registry).version == "v0"
    (registry / "v0.1").mkdir()
    (registry / "v0.1" / "notes.txt").write_text("mine")
    with pytest.raises(DataError, match="holds other files"):
        liftgate.add_model(tmp_path / "a.onnx", registry=registry, version="v0.1")
    assert (registry / "v0.1" / "notes.txt").read_text() == "mine"
    assert [one.problem for one in liftgate.verify_models(registry=registry).damages] == ["it was not registered"]


def test_names_of_versions_are_ordered_by_their_numbers() -> None:
    assert sorted(["v0.10", "v0.2", "v1", "v0"], key=parse_version) == ["v0", "v0.2", "v0.10", "v1"]
    assert next_version(["v0", "v0.9", "v0.10"]) == "v0.11"
    for wrong in ("0", "v", "v01", "v0.", "v-1", "v0/..", "V0", "v0.1 "):
        with pytest.raises(UsageError):
            parse_version(wrong)

"""The registry of models: register a study's model or a file, show, promote, roll back, verify."""

from __future__ import annotations

import getpass
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from liftgate.data.core.dataset import Dataset
from liftgate.data.provenance.declared_terms import DeclaredTerms, known_terms
from liftgate.data.provenance.licences import Terms
from liftgate.data.splits.split import Split
from liftgate.deploy.export.trusted import CHECKPOINTS, harmless_checkpoint, stated_licence
from liftgate.deploy.registry import promotion
from liftgate.deploy.registry.contents import StudyModel, VersionContents, chosen_arm, copy_weights, study_model
from liftgate.deploy.registry.evidence import judgement_on
from liftgate.deploy.registry.mirror import MirrorResult, mirror
from liftgate.deploy.registry.model_card import unstudied_card_text
from liftgate.deploy.registry.promotion import Promotion
from liftgate.deploy.registry.registration import Draft, Registration, register
from liftgate.deploy.registry.signing import sign_version, verify_signature
from liftgate.deploy.registry.store import Registry, RegistryCheck
from liftgate.deploy.registry.version import ModelVersion, parse_version, product_name, safe_name
from liftgate.errors import DataError, LiftgateError, UsageError
from liftgate.files import write_text
from liftgate.hashing import file_hash
from liftgate.ledger.chain import Ledger
from liftgate.ledger.model_records import VersionEntry
from liftgate.ledger.records import DataEntry, FrozenSplit
from liftgate.pipeline.datasets import StudyDatasets
from liftgate.progress import Progress, silent
from liftgate.study import weights as study_weights
from liftgate.study.records import Arm, Study
from liftgate.study.study_file import load, study_path

DEFAULT_REGISTRY = "models"
_WEIGHTS = (".pt", ".onnx", ".json", ".pth", ".engine", ".torchscript", ".tflite", ".pte")


def add_model(
    source: str | Path,
    *,
    registry: str | Path = DEFAULT_REGISTRY,
    arm: str | None = None,
    seed: int | None = None,
    version: str | None = None,
    name: str | None = None,
    weights_licence: str | None = None,
    exports: Mapping[str, str | Path] | None = None,
    overrides: Mapping[str, str] | None = None,
    progress: Progress = silent,
) -> ModelVersion:
    """Register a version: an arm of a study with everything that its ledger has on it, or a weights file alone.

    Where a version holds the same already, files and evidence, it is returned, `changed` is False and nothing is
    added: to repeat a call that was killed is safe. With `version` the same can be registered under one more number.

    Args:
        source: study.yaml, or a weights file, which then has no verdict.
        registry: folder of the registry; made if it is missing.
        arm: of the study; None: the arm that the study's answer is about.
        seed: of its training; None: the study's first.
        version: v0, v0.1, …; None: the next one.
        name: first part of the files' names; None: the start weights' and the study's name.
        weights_licence: None: what the checkpoint says, or that of its trainer, AGPL-3.0 of Ultralytics and MIT
            of LibreYOLO, else unknown.
        exports: name → file or folder of an export to keep with it.
        overrides: dotted key → value of the study, as `--set` gives them.
        progress: called as data are read.

    Raises:
        UsageError: the study has not run, the arm was not measured, or the version exists with other contents.
        Refused: loading a weights file without a study could run code.
        DataError: a file is not the one that the study's ledger names, or no checkpoint.
        LedgerError: one of the ledgers was changed.
    """
    store, path = Registry(Path(registry)), study_path(Path(source))
    if version is not None:
        parse_version(version)
    copies = {safe_name(key): Path(value) for key, value in (exports or {}).items()}
    if path.suffix.lower() not in (".yaml", ".yml"):
        if arm is not None or seed is not None or overrides:
            raise UsageError("arm, seed and overrides are of a study", where=path, expected="study.yaml")
        return _add_file(store, path, version, name, weights_licence, copies)
    study = load(path, overrides or {})
    chosen = chosen_arm(study, arm)
    model = study_model(study, chosen, study.seeds[0] if seed is None else seed)
    if weights_licence is None:
        weights_licence = study_weights.weights_licence(study, chosen)
    terms, splits, notes = _data(study, model, progress)
    with store.locked():
        found = judgement_on(Ledger(model.workspace.ledger), model.weights_hash, store.folder)
        verdict = None if found is None else found.verdict

        def draft(number: str, named: str) -> Draft:
            contents = VersionContents(number, named, verdict, model, terms, splits, weights_licence, notes)
            return Draft(contents.entry(_user()), contents.write)

        default = f"{_stem(chosen)}_{study.name}"
        return register(store, Registration(model.weights_hash, draft, default, version, name, copies))


def add_export(
    version: str, export: str | Path, *, registry: str | Path = DEFAULT_REGISTRY, name: str | None = None
) -> ModelVersion:
    """Keep an export with a registered version, such as an engine that was built on its device later.

    Called again with the same export it adds nothing, and `changed` is False.

    Args:
        version: v0, v0.1, … or `champion`.
        export: file, or folder with its card.
        registry: folder of the registry.
        name: of the export there; None: the name of the file or folder.

    Raises:
        UsageError: there is no such version, or it has another export of that name.
        DataError: a file of the version is not as it was registered.
    """
    store = Registry(Path(registry))
    store.require_exists()
    with store.locked():
        return store.add_export(store.open(version), safe_name(name or Path(export).stem), Path(export), _user())


def list_models(*, registry: str | Path = DEFAULT_REGISTRY) -> tuple[ModelVersion, ...]:
    """Return all versions of a registry, oldest first, without opening their files.

    Args:
        registry: folder of the registry.

    Raises:
        UsageError: there is no registry.
        LedgerError: its ledger was changed.
    """
    store = Registry(Path(registry))
    store.require_exists()
    return store.versions()


def show_model(version: str = "champion", *, registry: str | Path = DEFAULT_REGISTRY) -> ModelVersion:
    """Return one version, after comparing all its files with their recorded hashes.

    Args:
        version: v0, v0.1, … or `champion`.
        registry: folder of the registry.

    Raises:
        UsageError: there is no such version.
        DataError: a file is missing, was changed or was added.
    """
    return Registry(Path(registry)).open(version)


def promote(version: str, *, registry: str | Path = DEFAULT_REGISTRY, override: str | None = None) -> Promotion:
    """Make a version the champion, if the verdict that it was registered with allows that.

    Args:
        version: v0, v0.1, …
        registry: folder of the registry.
        override: reason to promote it although no verdict allows that; recorded.

    Raises:
        Refused: the verdict does not allow it.
        DataError: a file of the version is not as it was registered.
        LedgerError: the registry's ledger, or the copy of the study's, was changed.
    """
    if override is not None and not override.strip():
        raise UsageError("an override needs a reason", hint='--override --reason "the old camera is gone"')
    return promotion.promote(Registry(Path(registry)), version, override=override, who=_user())


def rollback(
    version: str | None = None, *, registry: str | Path = DEFAULT_REGISTRY, reason: str | None = None
) -> Promotion:
    """Make an earlier champion the champion again. Called again it changes nothing, and `changed` is False.

    Args:
        version: the earlier champion; None: the one before the present one, if that was promoted. After a rollback
            an earlier one is gone back to by its name only.
        registry: folder of the registry.
        reason: recorded with it.

    Raises:
        UsageError: there is no champion to go back to, or the version was none before the present one.
        DataError: a file of that version is not as it was registered.
    """
    return promotion.roll_back(Registry(Path(registry)), version, reason=reason, who=_user())


def sign_model(version: str, key: str | Path, *, registry: str | Path = DEFAULT_REGISTRY) -> Path:
    """Sign all files of a version with a local key, and return the path of the signature (extra `sign`).

    Args:
        version: v0, v0.1, … or `champion`.
        key: private key of an elliptic curve, PEM.
        registry: folder of the registry.

    Raises:
        UsageError: there is no such version, the key cannot be used, or model-signing is not installed.
        DataError: a file of the version is not as it was registered.
    """
    store = Registry(Path(registry))
    store.require_exists()
    with store.locked():
        return sign_version(store, store.open(version), Path(key))


def mirror_models(
    to: str | None = None, *, registry: str | Path = DEFAULT_REGISTRY, name: str | None = None
) -> MirrorResult:
    """Mirror versions and champion into MLflow's registry: names, hashes and verdicts, no files (extra `mlflow`).

    Args:
        to: address of MLflow, such as `sqlite:////srv/mlflow.db`; None: the environment's MLFLOW_TRACKING_URI.
        registry: folder of the registry.
        name: of the registered model there; None: the name of the newest version.

    Raises:
        UsageError: no address, mlflow is not installed, or there is no version.
        Refused: a version was trained on confidential data, and the address is not on this machine.
        DataError: MLflow has other weights under the name of a version.
        LiftgateError: MLflow failed.
    """
    store = Registry(Path(registry))
    store.require_exists()
    address = to or os.environ.get("MLFLOW_TRACKING_URI", "")
    if not address:
        raise UsageError("where is MLflow?", hint="--to sqlite:////srv/mlflow.db, or MLFLOW_TRACKING_URI")
    with store.locked():
        return mirror(store, address, name)


def verify_models(*, registry: str | Path = DEFAULT_REGISTRY, public_key: str | Path | None = None) -> RegistryCheck:
    """Check the registry's ledger and compare every file of every version with its recorded hash.

    Args:
        registry: folder of the registry.
        public_key: also verify the signature of every version with this key.

    Raises:
        UsageError: there is no registry, or the key cannot be used.
        LedgerError: its ledger was changed.
    """
    store = Registry(Path(registry))
    check = store.verify()
    if public_key is None:
        return check
    found = (verify_signature(store, version, Path(public_key)) for version in store.versions())
    return replace(check, damages=(*check.damages, *(one for one in found if one is not None)))


def _add_file(
    store: Registry, path: Path, version: str | None, name: str | None, licence: str | None, exports: Mapping[str, Path]
) -> ModelVersion:
    if not path.is_file() or path.suffix.lower() not in _WEIGHTS:
        expected = f"study.yaml, or a file that ends with {', '.join(_WEIGHTS)}"
        raise UsageError("no model to register", where=path, expected=expected)
    if not path.stat().st_size:
        raise DataError("the file is empty", where=path, hint="copy or export it again")
    if path.suffix.lower() in CHECKPOINTS:
        licence = licence or stated_licence(harmless_checkpoint(path))
    sha256 = file_hash(path)

    def draft(number: str, named: str) -> Draft:
        weights = product_name(named, number, path.suffix.lower())

        def fill(folder: Path) -> None:
            copy_weights(path, folder / weights, sha256)
            card = unstudied_card_text(named, number, sha256, licence)
            write_text(folder / product_name("model_card", number, ".md"), card)

        return Draft(VersionEntry(number, named, weights, {}, weights_licence=licence, who=_user()), fill)

    with store.locked():
        return register(store, Registration(sha256, draft, path.stem, version, name, exports))


def _stem(arm: Arm) -> str:
    first = arm.stages[0].weights if arm.stages else arm.weights
    return Path(first or arm.name).stem


def _data(
    study: Study, model: StudyModel, progress: Progress
) -> tuple[dict[str, Terms], dict[str, bytes], tuple[str, ...]]:
    """Return terms and split of each data set that the model was made or measured with, and what could not be had."""
    datasets = StudyDatasets(study, model.workspace, progress)
    recorded = {one.dataset: one for one in Ledger(model.workspace.ledger).records(DataEntry)}
    used = [one.on.rpartition(".")[0] for one in model.evaluations]
    used += [name for stage in model.arm.stages for name in (*stage.sources, stage.data)]
    terms: dict[str, Terms] = {}
    splits: dict[str, bytes] = {}
    notes: list[str] = []
    for name in dict.fromkeys(used):
        spec = study.dataset(name)
        declared = DeclaredTerms(spec.licence, spec.origin, spec.confidential)
        try:
            dataset = datasets.dataset(name)
            if name not in recorded or datasets.fingerprint(name) != recorded[name].fingerprint:
                raise DataError(f"the data set {name} is not as the run recorded it")
        except (LiftgateError, OSError) as error:
            terms[name] = Terms(spec.licence, spec.origin, spec.confidential)
            reason = error.what if isinstance(error, LiftgateError) else str(error.strerror)
            notes.append(f"The split of {name} is not among the files: {reason}.")
            continue
        terms[name] = known_terms(dataset, declared)
        if (table := _split_table(dataset, recorded[name].split, model)) is not None:
            splits[name] = table
    return terms, splits, tuple(notes)


def _split_table(dataset: Dataset, frozen: FrozenSplit | None, model: StudyModel) -> bytes | None:
    """Return the CSV of a data set's split: the frozen one, else the data set's own; None: it has none.

    Raises:
        DataError: the frozen split is not the one in the ledger.
    """
    if frozen is not None:
        path = model.workspace.folder / frozen.file
        if not path.is_file() or file_hash(path) != frozen.sha256:
            raise DataError("the frozen split is not the one in the ledger", where=path)
        return path.read_bytes()
    placed = [image for image in dataset.images if image.split]
    if not placed:
        return None
    return Split({one.id: str(one.split) for one in placed}, {one.id: one.key for one in placed}).to_csv()


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # in a container the user id may have no name
        return f"uid {os.getuid()}"

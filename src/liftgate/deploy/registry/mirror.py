"""Mirror the registry into MLflow's: a model version for each version here, and the alias `champion` (extra `mlflow`).

MLflow gets names, hashes, verdicts and where the files are, never the files. The ledger here stays the record: what
somebody changes in MLflow is put right by the next mirror, or named where it cannot be.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from liftgate.deploy.registry.store import CHAMPION, Registry
from liftgate.deploy.registry.version import ModelVersion
from liftgate.errors import DataError, LiftgateError, Refused, UsageError

_VERSION, _WEIGHTS = "liftgate.version", "liftgate.weights_sha256"
_HERE = frozenset(("localhost", "127.0.0.1", "::1"))
_SHORT = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2", "MLFLOW_HTTP_REQUEST_TIMEOUT": "10"}
"""Defaults of the environment: MLflow's own retry a server that does not answer for minutes"""


@dataclass(frozen=True, slots=True)
class MirrorResult:
    """What MLflow's registry holds now."""

    name: str
    """Of the registered model there"""
    versions: tuple[tuple[str, str], ...]
    """(version here, number there), oldest first"""
    added: tuple[str, ...]
    """Versions that were not there before"""
    champion: str | None
    """The version here that the alias `champion` is on; None: there is none yet"""


def mirror(registry: Registry, address: str, name: str | None = None) -> MirrorResult:
    """Bring MLflow's registry to what the ledger here says; a second time it changes nothing.

    Args:
        registry: the registry; its files are not opened.
        address: of MLflow's registry, such as `sqlite:////srv/mlflow.db` or `http://127.0.0.1:5000`.
        name: of the registered model there; None: the name of the newest version here.

    Raises:
        UsageError: mlflow is not installed, or the registry has no version.
        Refused: a version was trained on confidential data, and the address is not on this machine.
        DataError: a version there has other weights than the one of its name here.
        LiftgateError: MLflow failed.
    """
    versions = registry.versions()
    if not versions:
        raise UsageError("the registry has no version yet", where=registry.folder, hint="`liftgate models add STUDY`")
    secret = [one.version for one in versions if one.entry.confidential]
    if secret and not is_local(address):
        hint = "mirror into a file of this machine: sqlite:////path/mlflow.db"
        what = f"{', '.join(secret)} was trained on confidential data, and nothing about it leaves this machine"
        raise Refused(what, got=address, hint=hint)
    client = _client(address)
    name = name or versions[-1].entry.name
    try:
        return _brought_up_to_date(client, registry, versions, name, by_path=urlsplit(address).scheme == "sqlite")
    except LiftgateError:
        raise
    except Exception as error:  # of MLflow, its database and its HTTP client
        text = " ".join(str(error).split())[:300] or type(error).__name__
        raise LiftgateError("MLflow's registry could not be written", where=address, got=text) from None


def is_local(address: str) -> bool:
    """Return whether an address of MLflow is on this machine.

    >>> [is_local(one) for one in ("sqlite:////srv/m.db", "/srv/m", "http://127.0.0.1:5000", "https://mlflow.firm")]
    [True, True, True, False]
    """
    parts = urlsplit(address)
    if parts.scheme in ("http", "https"):
        return parts.hostname in _HERE
    return parts.scheme in ("", "file", "sqlite")


def _brought_up_to_date(
    client: Any, registry: Registry, versions: Sequence[ModelVersion], name: str, *, by_path: bool
) -> MirrorResult:
    known = {one.name for one in client.search_registered_models(filter_string=f"name = '{name}'")}
    if name not in known:
        client.create_registered_model(name, tags={"liftgate.registry": str(registry.folder)})
    there = {one.tags.get(_VERSION): one for one in client.search_model_versions(f"name = '{name}'")}
    numbers, added = [], []
    for one in versions:
        held = there.get(one.version)
        if held is not None and held.tags.get(_WEIGHTS) != one.weights_hash:
            what, hint = (
                f"MLflow has other weights as {one.version}",
                "another registry was mirrored there: --name NAME",
            )
            raise DataError(what, where=name, expected=one.weights_hash, got=held.tags.get(_WEIGHTS), hint=hint)
        if held is None:
            # A server refuses paths of this machine, and would not see them.
            source = one.folder.as_uri() if by_path else f"liftgate://{name}/{one.version}"
            held = client.create_model_version(name, source=source, tags=_tags(one), description=_description(one))
            added.append(one.version)
        numbers.append((one.version, str(held.version)))
    champion = next((one.version for one in versions if one.is_champion), None)
    if champion is not None:
        client.set_registered_model_alias(name, CHAMPION, dict(numbers)[champion])
    return MirrorResult(name, tuple(numbers), tuple(added), champion)


def _tags(version: ModelVersion) -> dict[str, str]:
    entry, verdict = version.entry, version.entry.verdict
    tags = {_VERSION: version.version, _WEIGHTS: version.weights_hash, "liftgate.weights": entry.weights}
    tags["liftgate.licence_of_weights"] = entry.weights_licence or "unknown"
    tags["liftgate.licence_of_data"] = entry.data_licence or "unknown"
    tags["liftgate.verdict"] = "none" if verdict is None else verdict.word
    if verdict is not None:
        tags |= {"liftgate.gate": verdict.gate, "liftgate.gate_sha256": verdict.gate_hash}
    return tags


def _description(version: ModelVersion) -> str:
    verdict = version.entry.verdict
    return "Registered without a study: no verdict." if verdict is None else verdict.sentence


def _client(address: str) -> Any:
    for name, value in _SHORT.items():
        os.environ.setdefault(name, value)
    try:
        tracking = importlib.import_module("mlflow.tracking")
    except ImportError as error:
        hint = "pip install '.[mlflow]' in the clone of Liftgate"
        raise UsageError(f"the mirror needs mlflow: {error}", hint=hint) from None
    if address.startswith("sqlite:///") and not Path(address.removeprefix("sqlite:///")).absolute().parent.is_dir():
        raise UsageError("the folder of MLflow's database does not exist", got=address)
    try:
        return tracking.MlflowClient(tracking_uri=address, registry_uri=address)
    except Exception as error:
        raise UsageError("no address of MLflow", got=address, hint=f"sqlite:////path/mlflow.db ({error})") from None

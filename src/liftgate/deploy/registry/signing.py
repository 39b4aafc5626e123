"""Sign versions with a local key, and verify the signatures, with OpenSSF's model-signing; nothing leaves the machine.

A hash in the registry's ledger shows that a file is as it was registered, as far as the ledger is trusted. A signature
shows it with the public key alone, also where the ledger is not: `signatures/v0.sig` covers the whole folder `v0`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from liftgate.deploy.registry.store import SIGNATURES, Damage, Registry
from liftgate.deploy.registry.version import ModelVersion
from liftgate.errors import UsageError

_KEY_HINT = "an elliptic curve key: openssl ecparam -name prime256v1 -genkey -noout -out key.pem"
_PUBLIC_HINT = "its public half: openssl ec -in key.pem -pubout -out public.pem"


def sign_version(registry: Registry, version: ModelVersion, key: Path) -> Path:
    """Sign all files of a version and return the path of the signature. Call it under `Registry.locked`.

    Args:
        registry: the registry.
        version: from `Registry.open`, which has compared its files.
        key: private key, PEM, of an elliptic curve.

    Raises:
        UsageError: model-signing is not installed, or the key cannot be used.
    """
    signing = _package("signing")
    try:
        config = signing.Config().use_elliptic_key_signer(private_key=key)
    except Exception as error:  # of several packages
        raise UsageError("the private key cannot be used", where=key, got=_text(error), hint=_KEY_HINT) from None
    path = signature_path(registry, version)
    path.parent.mkdir(exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    try:
        config.sign(version.folder, part)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    return path


def verify_signature(registry: Registry, version: ModelVersion, public_key: Path) -> Damage | None:
    """Return what is wrong with the signature of a version; None: it is valid.

    Args:
        registry: the registry.
        version: one of its versions.
        public_key: PEM, of the key that signed it.

    Raises:
        UsageError: model-signing is not installed, or the key cannot be used.
    """
    verifying = _package("verifying")
    try:
        config = verifying.Config().use_elliptic_key_verifier(public_key=public_key)
    except Exception as error:
        raise UsageError(
            "the public key cannot be used", where=public_key, got=_text(error), hint=_PUBLIC_HINT
        ) from None
    path = signature_path(registry, version)
    place = path.relative_to(registry.folder).as_posix()
    if not path.is_file():
        return Damage(version.version, place, "there is no signature")
    try:
        config.verify(version.folder, path)
    except Exception as error:  # ValueError, or what its JSON and cryptography raise on a damaged file
        return Damage(version.version, place, f"the signature is not valid: {_text(error)}")
    return None


def signature_path(registry: Registry, version: ModelVersion) -> Path:
    """Return where the signature of a version is."""
    return registry.folder / SIGNATURES / f"{version.version}.sig"


def _package(name: str) -> Any:
    """Return a module of model-signing, which is untyped."""
    import importlib

    try:
        return importlib.import_module(f"model_signing.{name}")
    except ImportError as error:
        hint = "pip install '.[sign]' in the clone of Liftgate"
        raise UsageError(f"signatures need model-signing: {error}", hint=hint) from None


def _text(error: Exception) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 200 else f"{text[:200]}…"

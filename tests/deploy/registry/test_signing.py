"""Signatures with a local key: valid, and named where a file, the key or the signature is another one."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

import liftgate
from liftgate.cli import main
from liftgate.errors import DataError, UsageError

pytest.importorskip("model_signing")


def make_keys(folder: Path, name: str) -> tuple[Path, Path]:
    private, public = folder / f"{name}.pem", folder / f"{name}-public.pem"
    make = ["openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", str(private)]
    subprocess.run(make, check=True)
    extract = ["openssl", "ec", "-in", str(private), "-pubout", "-out", str(public)]
    subprocess.run(extract, check=True, capture_output=True)
    return private, public


def problems(registry: Path, public: Path) -> list[str]:
    return [str(one) for one in liftgate.verify_models(registry=registry, public_key=public).damages]


def test_a_signature_covers_every_file_of_a_version(registered: Callable[[int], Path], tmp_path: Path) -> None:
    registry = registered(2)
    private, public = make_keys(tmp_path, "mine")
    assert liftgate.sign_model("v0", private, registry=registry) == registry / "signatures/v0.sig"
    assert problems(registry, public) == ["signatures/v0.1.sig: there is no signature"]
    assert main(["models", "sign", "v0.1", "--key", str(private), "--registry", str(registry)]) == 0
    assert problems(registry, public) == []
    assert liftgate.verify_models(registry=registry).ok, "signatures are no strangers in the folder"

    _, other = make_keys(tmp_path, "other")
    assert all("is not valid" in one for one in problems(registry, other)) and len(problems(registry, other)) == 2
    (registry / "v0/eval_v0.json").write_text("{}")
    found = problems(registry, public)
    assert any("v0/eval_v0.json: it was changed" in one for one in found)
    assert any("signatures/v0.sig" in one and "eval_v0.json" in one for one in found)
    with pytest.raises(DataError, match="v0 is not as it was registered"):
        liftgate.sign_model("v0", private, registry=registry)
    (registry / "signatures/v0.1.sig").write_text("x")
    assert any("signatures/v0.1.sig: the signature is not valid" in one for one in problems(registry, public))


def test_a_key_that_cannot_be_used_is_one_error(registered: Callable[[int], Path], tmp_path: Path) -> None:
    registry = registered(1)
    (tmp_path / "bad.pem").write_text("no key")
    for key in ("bad.pem", "nowhere.pem"):
        with pytest.raises(UsageError, match="private key cannot be used"):
            liftgate.sign_model("v0", tmp_path / key, registry=registry)
        with pytest.raises(UsageError, match="public key cannot be used"):
            liftgate.verify_models(registry=registry, public_key=tmp_path / key)
    assert list((registry / "v0").parent.glob("signatures/*")) == []

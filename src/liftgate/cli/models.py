"""`liftgate models add / list / show / promote / rollback / verify`: the registry of models."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from liftgate.cli.output import add_json, add_overrides, emit_json, progress, say, show
from liftgate.cli.parser import at_least
from liftgate.errors import UsageError
from liftgate.hashing import short

if TYPE_CHECKING:
    from liftgate.deploy.registry.promotion import Promotion
    from liftgate.deploy.registry.version import ModelVersion


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `liftgate models`."""
    actions = parser.add_subparsers(metavar="ACTION", required=True, dest="action")
    add = actions.add_parser("add", help="register a version: an arm of a study, or a weights file alone")
    add.add_argument("source", type=Path, metavar="STUDY or FILE", help="study.yaml, or a weights file")
    add.add_argument("--arm", help="arm of the study (default: the one that its answer is about)")
    add.add_argument("--seed", type=at_least(0), help="seed of its training (default: the study's first)")
    add.add_argument("--version", metavar="vX.Y", help="name of the version (default: the next one)")
    add.add_argument("--name", help="first part of the files' names, such as yolov8n_lbzf")
    add.add_argument("--weights-licence", metavar="SPDX", help="licence of the weights, where it is not AGPL-3.0")
    add.add_argument(
        "--export", action="append", default=[], type=Path, metavar="PATH", help="an export to keep with it; repeatable"
    )
    add_overrides(add)
    attach = actions.add_parser("attach", help="keep an export with a registered version")
    attach.add_argument("model", metavar="VERSION", help="v0, v0.1, … or champion")
    attach.add_argument("export", type=Path, metavar="PATH", help="file, or folder with its card")
    attach.add_argument("--as", dest="named", metavar="NAME", help="name of the export there")
    listed = actions.add_parser("list", help="all versions, oldest first")
    show = actions.add_parser("show", help="one version with its card; its files are compared with their hashes")
    show.add_argument("model", nargs="?", default="champion", metavar="VERSION", help="default: the champion")
    promote = actions.add_parser("promote", help="make a version the champion, if its verdict allows that")
    promote.add_argument("model", metavar="VERSION", help="v0, v0.1, …")
    promote.add_argument("--override", action="store_true", help="although no verdict allows it; needs --reason")
    promote.add_argument("--reason", metavar="TEXT", help="why; the ledger keeps it")
    rollback = actions.add_parser("rollback", help="make the champion before the present one the champion again")
    rollback.add_argument(
        "model", nargs="?", metavar="VERSION", help="an earlier champion (default: the one before the last promotion)"
    )
    rollback.add_argument("--reason", metavar="TEXT", help="why; the ledger keeps it")
    verify = actions.add_parser("verify", help="compare every file with its recorded hash, and check the ledger")
    verify.add_argument("--public-key", type=Path, metavar="PEM", help="verify the signature of every version, too")
    sign = actions.add_parser("sign", help="sign all files of a version with a local key (extra: sign)")
    sign.add_argument("model", metavar="VERSION", help="v0, v0.1, … or champion")
    sign.add_argument("--key", required=True, type=Path, metavar="PEM", help="private key of an elliptic curve")
    mirrored = actions.add_parser("mirror", help="versions and champion into MLflow's registry (extra: mlflow)")
    mirrored.add_argument("--to", metavar="URI", help="of MLflow (default: MLFLOW_TRACKING_URI)")
    mirrored.add_argument("--name", help="of the registered model there (default: that of the newest version)")
    for action in (mirrored, sign, add, attach, listed, show, promote, rollback, verify):
        action.add_argument(
            "--registry", type=Path, default=Path("models"), metavar="FOLDER", help="folder of the registry: models"
        )
        add_json(action)


def run(args: argparse.Namespace) -> int:
    """Run `liftgate models` and return its exit code."""
    actions = {
        "add": _add,
        "attach": _attach,
        "list": _list,
        "show": _show,
        "promote": _promote,
        "rollback": _rollback,
        "verify": _verify,
        "sign": _sign,
        "mirror": _mirror,
    }
    return actions[args.action](args)


def _add(args: argparse.Namespace) -> int:
    from liftgate import api

    with progress() as bars:
        version = api.add_model(
            args.source,
            registry=args.registry,
            arm=args.arm,
            seed=args.seed,
            version=args.version,
            name=args.name,
            weights_licence=args.weights_licence,
            exports=_named(args.export),
            overrides=args.overrides,
            progress=bars,
        )
    return _registered(version, args)


def _named(paths: list[Path]) -> dict[str, str | Path]:
    named: dict[str, str | Path] = {}
    for path in paths:
        if path.stem in named:
            hint = "rename one of them, or add it later with `liftgate models attach --as NAME`"
            raise UsageError("two exports of one name", got=path.stem, hint=hint)
        named[path.stem] = path
    return named


def _attach(args: argparse.Namespace) -> int:
    from liftgate import api

    return _registered(api.add_export(args.model, args.export, registry=args.registry, name=args.named), args)


def _registered(version: ModelVersion, args: argparse.Namespace) -> int:
    if args.json:
        emit_json(_row(version) | {"changed": version.changed})
        return 0
    if not version.changed:
        show(f"{version.version} holds the same already, nothing was added: {version.folder}")
        return 0
    show(f"registered {version.version}: {version.folder}")
    for name in sorted(version.files):
        show(f"  {name}")
    verdict = version.entry.verdict
    say(
        f"hint: `liftgate models promote {version.version}`"
        if verdict and verdict.word == "PASS"
        else "no verdict allows its promotion without --override"
    )
    return 0


def _list(args: argparse.Namespace) -> int:
    from liftgate import api

    versions = api.list_models(registry=args.registry)
    champion = next((one.version for one in versions if one.is_champion), None)
    if args.json:
        rows = [_row(one) for one in versions]
        emit_json({"registry": str(args.registry), "champion": champion, "versions": rows})
        return 0
    for one in versions:
        verdict = one.entry.verdict
        word = "no verdict" if verdict is None else verdict.word
        show(
            f"{'*' if one.is_champion else ' '} {one.version:<8} {word:<10} {one.registered[:19]}Z  {one.entry.weights}"
        )
    say(f"champion: {champion or 'none yet'}")
    return 0


def _show(args: argparse.Namespace) -> int:
    from liftgate import api

    version = api.show_model(args.model, registry=args.registry)
    card = version.product("model_card", ".md")
    if args.json:
        emit_json(_row(version) | {"files": dict(version.files)})
        return 0
    show(f"{version.version}{', the champion' if version.is_champion else ''}: {version.folder}")
    show(f"{len(version.files)} files, all as they were registered {version.registered[:19]}Z")
    if card.is_file():
        show("")
        show(*card.read_text("utf-8").rstrip("\n").split("\n"))
    return 0


def _promote(args: argparse.Namespace) -> int:
    from liftgate import api

    if args.override != (args.reason is not None):
        hint = '--override --reason "the old camera is gone"'
        raise UsageError("--override and --reason go together", hint=hint)
    return _promoted(api.promote(args.model, registry=args.registry, override=args.reason), args)


def _rollback(args: argparse.Namespace) -> int:
    from liftgate import api

    done = api.rollback(args.model, registry=args.registry, reason=args.reason)
    if not done.changed and args.model is None and not args.json:
        show(f"{done.champion} is the champion already, since {done.replaces} was rolled back; nothing was recorded")
        say("hint: `liftgate models rollback VERSION` goes back further, to the version that it names")
        return 0
    return _promoted(done, args)


def _promoted(done: Promotion, args: argparse.Namespace) -> int:
    if args.json:
        names = ("champion", "replaces", "changed", "basis", "override", "entry")
        emit_json({name: getattr(done, name) for name in names} | {"caveats": list(done.caveats)})
        return 0
    if not done.changed:
        show(f"{done.champion} is the champion already; nothing was recorded")
        return 0
    before = f" instead of {done.replaces}" if done.replaces else ""
    show(f"champion: {done.champion}{before} ({done.basis})")
    for caveat in done.caveats:
        say(f"! {caveat}")
    return 0


def _sign(args: argparse.Namespace) -> int:
    from liftgate import api

    path = api.sign_model(args.model, args.key, registry=args.registry)
    if args.json:
        emit_json({"version": args.model, "signature": str(path)})
    else:
        show(path)
    return 0


def _mirror(args: argparse.Namespace) -> int:
    from liftgate import api

    found = api.mirror_models(args.to, registry=args.registry, name=args.name)
    if args.json:
        versions = [{"version": one, "mlflow_version": number} for one, number in found.versions]
        emit_json({"name": found.name, "champion": found.champion, "added": list(found.added), "versions": versions})
        return 0
    for one, number in found.versions:
        show(f"{'*' if one == found.champion else ' '} {one:<8} is version {number} of {found.name}")
    say(f"{len(found.added)} added; champion: {found.champion or 'none yet'}")
    return 0


def _verify(args: argparse.Namespace) -> int:
    from liftgate import api

    found = api.verify_models(registry=args.registry, public_key=args.public_key)
    if args.json:
        damages = [{"version": one.version, "file": one.file, "problem": one.problem} for one in found.damages]
        emit_json(
            {
                "ok": found.ok,
                "versions": found.versions,
                "files": found.files,
                "champion": found.champion,
                "head": found.head,
                "damages": damages,
            }
        )
    elif found.ok:
        champion = found.champion or "none yet"
        show(
            f"untouched: {found.versions} versions, {found.files} files, head {short(found.head)}; champion {champion}"
        )
    for one in found.damages:
        say(f"error: {one}")
    return 0 if found.ok else 1


def _row(version: ModelVersion) -> dict[str, object]:
    entry = version.entry
    return {
        "version": version.version,
        "champion": version.is_champion,
        "name": entry.name,
        "weights": str(version.weights),
        "sha256": version.weights_hash,
        "registered": version.registered,
        "verdict": None if entry.verdict is None else entry.verdict.to_body(),
        "weights_licence": entry.weights_licence,
        "data_licence": entry.data_licence,
        "confidential": entry.confidential,
        "exports": [str(version.folder / one) for one in version.exports],
        "folder": str(version.folder),
    }

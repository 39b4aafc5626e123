"""A model behind HTTP: check what is asked for, load the model, listen."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path
from typing import TYPE_CHECKING

from liftgate.errors import UsageError
from liftgate.progress import Progress, silent

if TYPE_CHECKING:
    from liftgate.deploy.serving.champion import ModelSource, Thresholds
    from liftgate.deploy.serving.log_keeper import LogSettings

DEFAULT_REGISTRY = "models"
_PACKAGES = ("starlette", "uvicorn", "prometheus_client", "python_multipart", "onnxruntime")
_SWAP_SECONDS = 1.0


def serve(
    model: str | Path | None = None,
    *,
    registry: str | Path = DEFAULT_REGISTRY,
    export: str | None = None,
    host: str = "127.0.0.1",
    port: int = 8000,
    token_file: str | Path | None = None,
    conf: float = 0.25,
    iou: float | None = None,
    max_det: int | None = None,
    queue: int = 64,
    batch: int = 8,
    max_body_mb: float = 20.0,
    max_pixels: int = 50_000_000,
    timeout: float = 10.0,
    log: str | Path | None = None,
    keep_days: float | None = None,
    keep_gb: float | None = None,
    quality_rules: str | Path | None = None,
    threads: int | None = None,
    progress: Progress = silent,
) -> None:
    """Answer HTTP requests with a model's detections, until SIGTERM or SIGINT.

    With a registry the champion answers, and after a promotion or a rollback the new one does, without a dropped
    request. The token is the first line of `token_file`, or LIFTGATE_SERVE_TOKEN.

    Args:
        model: a version of the registry, or an export (its folder, an .onnx, an OpenVINO .xml); None: the champion.
        registry: folder of the registry.
        export: name of the export of a version; None: ONNX before OpenVINO, the highest precision.
        host: address to listen on; others than this machine's own need a token.
        port: 0 takes any free one.
        token_file: file with the token that requests must have.
        conf: least confidence; a request may ask for another.
        iou: limit of non-maximum suppression; None: the card's.
        max_det: most detections of an image; None: the card's.
        queue: requests that may wait; more are answered with 503.
        batch: most images in one run of the model, where its batch is free.
        max_body_mb: largest body, millions of bytes.
        max_pixels: largest image.
        timeout: seconds in which the headers, and then the body, of a request must arrive.
        log: folder in which a row for every image is kept, never the image; None: nothing is kept.
        keep_days: rows older than so many days are deleted; None: none are.
        keep_gb: the oldest hours are deleted above so many thousand million bytes; None: none are.
        quality_rules: YAML that says what makes an image red or yellow; None: docs/serving.md.
        threads: threads of one inference; None: the runtime's own choice.
        progress: called as the model is loaded.

    Raises:
        UsageError: the extra is not installed, no such model, or an address that cannot be used.
        DataError: the model is not as it was registered, or cannot be loaded.
        LedgerError: the registry's ledger was changed.
    """
    missing = [name for name in _PACKAGES if importlib.util.find_spec(name) is None]
    if missing:
        hint = "pip install '.[serve]' in the clone of Liftgate"
        raise UsageError("serving needs the extra `serve`", got=f"no {', '.join(missing)}", hint=hint)
    from liftgate.deploy.serving.champion import Thresholds
    from liftgate.deploy.serving.connections import bind, serve_until_told
    from liftgate.deploy.serving.server import open_server
    from liftgate.deploy.serving.settings import ServeAddress, ServeLimits, read_token

    token = read_token(None if token_file is None else Path(token_file), os.environ.get("LIFTGATE_SERVE_TOKEN"))
    address = ServeAddress(host, port, token)
    address.require_safe()
    limits = ServeLimits(
        body_bytes=int(max_body_mb * 1e6),
        pixels=max_pixels,
        queue=queue,
        batch=batch,
        body_seconds=timeout,
        header_seconds=timeout,
    )
    limits.require_possible()
    settings = log_settings(log, keep_days, keep_gb, quality_rules)
    source = model_source(model, Path(registry), export, Thresholds(conf, iou, max_det), threads)
    with bind(address) as listener:
        progress("loading the model", 0, 1)
        server = open_server(source, address, limits, log=settings, swap_seconds=_SWAP_SECONDS)
        progress("loading the model", 1, 1)
        served, place = server.model.current, listener.getsockname()
        shown = f"[{place[0]}]" if ":" in place[0] else place[0]
        server.lines.write(
            "listening",
            {"url": f"http://{shown}:{place[1]}", "model_version": served.version, "source": served.source},
        )
        serve_until_told(server, listener)
        server.lines.write("stopped", {"swaps": server.model.swaps})


def log_settings(
    log: str | Path | None, keep_days: float | None, keep_gb: float | None, rules: str | Path | None
) -> LogSettings | None:
    """Return the settings of a production log; None: nothing is kept.

    Args:
        log: its folder.
        keep_days: rows older than so many days are deleted.
        keep_gb: the oldest hours are deleted above so many thousand million bytes.
        rules: YAML that says what makes an image red or yellow.

    Raises:
        UsageError: a value is out of range, or is of a log that is not there.
        DataError: the rules cannot be read.
    """
    from liftgate.data.production_log.compaction import Retention
    from liftgate.data.production_log.quality import QualityRules, read_rules
    from liftgate.deploy.serving.log_keeper import LogSettings

    if log is None:
        if (keep_days, keep_gb, rules) != (None, None, None):
            raise UsageError("keep_days, keep_gb and quality_rules are of a log", expected="--log FOLDER")
        return None
    for name, value in (("keep_days", keep_days), ("keep_gb", keep_gb)):
        if value is not None and not 0 < value < 1e6:
            raise UsageError(f"{name} is out of range", expected="above 0", got=value)
    keep = Retention(keep_days, None if keep_gb is None else int(keep_gb * 1e9))
    return LogSettings(Path(log), keep, QualityRules() if rules is None else read_rules(Path(rules)))


def model_source(
    model: str | Path | None, registry: Path, export: str | None, thresholds: Thresholds, threads: int | None
) -> ModelSource:
    """Return where a model comes from.

    Args:
        model: a version of the registry, or an export; None: the champion.
        registry: folder of the registry.
        export: name of the export of a version.
        thresholds: those that are asked for.
        threads: of one inference.

    Raises:
        UsageError: there is no registry, or an export's name beside a file.
    """
    from liftgate.deploy.registry.store import CHAMPION, Registry
    from liftgate.deploy.registry.version import is_version
    from liftgate.deploy.serving.champion import FileSource, RegistrySource

    if model is None or model == CHAMPION or is_version(str(model)):
        store = Registry(registry)
        store.require_exists()
        return RegistrySource(store, thresholds, CHAMPION if model is None else str(model), export, threads)
    if export is not None:
        raise UsageError("--export names an export of a registered version", got=f"a file, {model}")
    return FileSource(Path(model), thresholds, threads)

"""Fetch a data set version from Roboflow, by name, over its REST API.

Standard library only: the `roboflow` package asks for a login, pins OpenCV and loads every project to fetch one zip.
The key is read from the environment (ROBOFLOW_API_KEY, as in that package), is sent to that address
only, and is not in any message, file or record.
"""

from __future__ import annotations

import os
import re
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Collection
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from urllib.parse import quote, urlencode, urlsplit

from liftgate.data.core.archive import unpack
from liftgate.data.remote.hosts import require_allowed_host
from liftgate.documents import parse_json
from liftgate.errors import DataError, LiftgateError, UsageError, full_disk_hint
from liftgate.files import atomic_folder, require_empty
from liftgate.hashing import file_hash
from liftgate.progress import Progress, silent

KEY = "ROBOFLOW_API_KEY"
SERVER = "https://api.roboflow.com"
FORMATS = ("yolov5pytorch", "yolov7pytorch", "yolov8", "yolov9", "yolov11", "coco", "voc", "paligemma")
"""Roboflow's names of the formats that Liftgate reads"""

_CHUNK = 1 << 20
_LONGEST_WAIT = 900.0
_TIMEOUT = 60


@dataclass(frozen=True, slots=True)
class Fetched:
    """Result of a fetch."""

    folder: Path
    version: str
    """WORKSPACE/PROJECT/VERSION, or the name of the zip"""
    sha256: str
    """Of the zip"""
    size: int
    """Bytes"""


def fetch(
    version: str,
    folder: Path,
    *,
    form: str = "yolov8",
    server: str = SERVER,
    confidential: bool = False,
    allowed: Collection[str] = (),
    wait: Callable[[float], None] = time.sleep,
    progress: Progress = silent,
) -> Fetched:
    """Fetch WORKSPACE/PROJECT/VERSION as `form` and unpack it into a new folder, as Roboflow exports it.

    Raises:
        Refused: the study is confidential: the request itself would reveal which data are of interest.
        UsageError: no key, or not a version's name.
        DataError: the folder is not empty, or the answer is not a safe zip.
        LiftgateError: the server cannot be reached or refuses.
    """
    if not re.fullmatch(r"[\w.-]+/[\w.-]+/\d+", version) or form not in FORMATS:
        expected = f"WORKSPACE/PROJECT/NUMBER and one of {', '.join(FORMATS)}"
        raise UsageError("no version of a data set", expected=expected, got=f"{version} as {form}")
    require_allowed_host(server, confidential=confidential, allowed=allowed, what="this study")
    key = os.environ.get(KEY)
    if not key:
        raise UsageError(f"{KEY} is not set", hint="Roboflow shows it under Settings, API Keys")
    require_empty(folder)
    link = _wait_for_link(f"{server.rstrip('/')}/{quote(version)}/{form}", key, wait, progress)
    # The server chooses the link: signed for this zip, on any host, and without our key.
    require_allowed_host(link, confidential=False, what="this study", lan=server.startswith("http:"))
    with tempfile.TemporaryDirectory() as place, atomic_folder(folder) as part:
        archive = Path(place) / "export.zip"
        size = _download(link, archive, progress)
        _unpack_into(archive, part)
        return Fetched(folder, version, file_hash(archive), size)


def unpack_export(archive: Path, folder: Path) -> Fetched:
    """Unpack the zip of an export, downloaded earlier, into a new folder.

    Raises:
        DataError: the folder is not empty, or the file is not a safe zip.
    """
    require_empty(folder)
    with atomic_folder(folder) as part:
        _unpack_into(archive, part)
    return Fetched(folder, archive.name, file_hash(archive), archive.stat().st_size)


def _unpack_into(archive: Path, part: Path) -> None:
    unpack(archive, part / "export")
    for item in (part / "export").iterdir():
        item.rename(part / item.name)
    (part / "export").rmdir()


def _wait_for_link(address: str, key: str, wait: Callable[[float], None], progress: Progress) -> str:
    """Poll until the export is made (the server answers 202 meanwhile) and return the link of its zip."""
    waited = 0.0
    while True:
        status, body = _get(f"{address}?{urlencode({'api_key': key})}", address)
        try:
            answer = parse_json(body)
            if status == 200 and "export" in answer:
                return str(answer["export"]["link"])
            share = float(answer.get("progress") or 0)
        except (ValueError, TypeError, KeyError, AttributeError):
            raise LiftgateError("the answer is not understood", where=address, got=body[:80]) from None
        if waited >= _LONGEST_WAIT:
            raise LiftgateError("the export is not finished", where=address, hint="ask again later")
        progress("waiting for the export", round(100 * share), 100)
        wait(2.0)
        waited += 2.0


def _get(url: str, shown: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(url, timeout=_TIMEOUT) as response:
            return response.status, response.read(_CHUNK).decode("utf-8", "replace")
    except urllib.error.HTTPError as error:
        hints = {401: f"is {KEY} the key of this workspace?", 403: f"is {KEY} the key of this workspace?"}
        hints[404] = "is the name right? It is in the address of the version's page"
        raise LiftgateError("the server refuses", where=shown, got=error.code, hint=hints.get(error.code)) from None
    except (OSError, HTTPException) as error:
        raise LiftgateError("the server cannot be reached", where=shown, got=_reason(error)) from None


def _download(link: str, path: Path, progress: Progress) -> int:
    shown = f"{urlsplit(link).hostname}{urlsplit(link).path}"  # its query is signed: anyone who has it may fetch
    done = 0
    try:
        with urllib.request.urlopen(link, timeout=_TIMEOUT) as response, path.open("wb") as file:
            total = int(response.headers.get("Content-Length") or 0)
            while piece := response.read(_CHUNK):
                file.write(piece)
                done += len(piece)
                progress("fetching", done, max(done, total))
    except (OSError, HTTPException, ValueError) as error:
        what, hint = "the zip cannot be fetched", full_disk_hint(error)
        raise LiftgateError(what, where=shown, got=_reason(error), hint=hint) from None
    if done < total:
        raise DataError("the zip was cut off on its way", where=shown, expected=f"{total:,} bytes", got=f"{done:,}")
    return done


def _reason(error: Exception) -> str:
    """Return the reason of an error without the address, which contains a key."""
    reason = getattr(error, "reason", None) or getattr(error, "strerror", None)
    return str(reason) if reason else type(error).__name__

"""Push pre-labels to a CVAT server and pull labels from it, through cvat-sdk (the `cvat` extra).

The token is read from the environment (CVAT_ACCESS_TOKEN, as in cvat-cli), never from arguments or files, and is not in
any message.
"""

from __future__ import annotations

import contextlib
import importlib.util
import logging
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from liftgate.data.prelabels.export import IMAGES, LABELS, XML
from liftgate.documents import load_json
from liftgate.errors import LiftgateError, UsageError

if TYPE_CHECKING:
    from cvat_sdk import Client

TOKEN = "CVAT_ACCESS_TOKEN"


def push(folder: Path, url: str, *, name: str, organisation: str | None = None, period: float = 2.0) -> int:
    """Create a task from an exported folder (`export_prelabels`) on the server at `url` and return its number.

    Args:
        folder: folder that `export_prelabels` wrote.
        url: address of the CVAT server.
        name: name of the task.
        organisation: slug of the organisation that owns the task; None: the user.
        period: seconds between requests for the state of the server's work.

    Raises:
        UsageError: no cvat-sdk, no token, or no such folder.
        LiftgateError: the server cannot be reached or refuses.
    """
    try:
        labels = load_json(folder / LABELS)
    except (OSError, ValueError) as error:
        raise UsageError("no exported pre-labels", where=folder, got=str(error)) from None
    with _client(url, organisation, period) as client:
        task = client.tasks.create_from_data(
            spec={"name": name, "labels": labels},
            resources=[folder / IMAGES],
            data_params={"image_quality": 95, "sorting_method": "lexicographical"},
            annotation_path=str(folder / XML),
            annotation_format="CVAT 1.1",
        )
        return int(task.id)


def pull(task: int, url: str, path: Path, *, organisation: str | None = None, period: float = 2.0) -> Path:
    """Fetch the labels of a task (CVAT for images 1.1, no images) into a new zip and return its path.

    Raises:
        UsageError: no cvat-sdk, no token, or the file exists already.
        LiftgateError: the server cannot be reached or refuses.
    """
    if path.exists():
        raise UsageError("a file is there", where=path, hint="another --out: nothing of yours is replaced")
    path.parent.mkdir(parents=True, exist_ok=True)
    with _client(url, organisation, period) as client:
        from cvat_sdk.core.proxies.types import Location

        client.tasks.retrieve(task).export_dataset(
            "CVAT for images 1.1", path, include_images=False, location=Location.LOCAL
        )
    return path


def pull_events(task: int, url: str, path: Path, *, organisation: str | None = None, period: float = 2.0) -> Path:
    """Fetch the events of a task, which say how long its frames were worked on, into a new CSV and return its path.

    Raises:
        UsageError: no cvat-sdk, no token, or the file exists already.
        LiftgateError: the server cannot be reached, refuses, or keeps no events.
    """
    if path.exists():
        raise UsageError("a file is there", where=path, hint="another --times: nothing of yours is replaced")
    path.parent.mkdir(parents=True, exist_ok=True)
    with _client(url, organisation, period) as client:
        from cvat_sdk.core.downloading import Downloader

        Downloader(client).prepare_and_download_file_from_endpoint(
            client.api_client.events_api.create_export_endpoint, path, query_params={"task_id": task}
        )
    return path


@contextlib.contextmanager
def _client(url: str, organisation: str | None, period: float) -> Iterator[Client]:
    if importlib.util.find_spec("cvat_sdk") is None:
        raise UsageError(
            "cvat-sdk is not installed", hint="pip install '.[cvat]' in the clone of Liftgate, or use the files"
        )
    token = os.environ.get(TOKEN)
    if not token:
        raise UsageError(f"{TOKEN} is not set", hint="make a personal access token in CVAT's profile page")
    import urllib3
    from cvat_sdk.core.client import AccessTokenCredentials, Client, Config
    from cvat_sdk.exceptions import ApiException, CvatSdkException, OpenApiException

    quiet = logging.getLogger("liftgate.cvat")
    quiet.addHandler(logging.NullHandler())
    quiet.propagate = False
    with tempfile.TemporaryDirectory() as cache:
        config: Any = Config(status_check_period=period, cache_dir=Path(cache))
        try:
            with Client(url, config=config, logger=quiet, check_server_version=False) as client:
                client.login(AccessTokenCredentials(token))
                client.check_server_version(fail_if_unsupported=False)
                client.organization_slug = organisation
                yield client
        except ApiException as error:
            answer = str(error.body or error.reason or "").replace(token, "…")[:300]
            raise LiftgateError("the CVAT server refuses", where=url, got=f"{error.status} {answer}") from None
        except (CvatSdkException, OpenApiException, urllib3.exceptions.HTTPError, OSError) as error:
            answer = str(error).replace(token, "…")[:300]
            raise LiftgateError(
                "the CVAT server cannot be used", where=url, got=answer or type(error).__name__
            ) from None

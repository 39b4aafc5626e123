"""Answers as they came, one file each beside the predictions, so that no image is sent twice.

They are kept raw: a mapping can be corrected, or another one tried, without another request. A stop costs at most the
requests in flight.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from liftgate.documents import LARGE, DocumentError, load_json
from liftgate.errors import UsageError
from liftgate.files import write_json

_REQUEST_FILE = "asked.json"


@dataclass(frozen=True, slots=True)
class Answer:
    """One saved answer."""

    image: str
    """Image id"""
    image_sha256: str
    seconds: float
    attempts: int
    answer: Any
    """Decoded JSON of the API, without secrets"""


class AnswerCache:
    """A folder of answers to one kind of request: an address and a way of sending."""

    def __init__(self, folder: Path, url: str, sending: object) -> None:
        """Open a folder, or start it.

        Args:
            folder: holds the answers.
            url: where images are posted.
            sending: how they are posted, as JSON values.

        Raises:
            UsageError: the answers in it are to another kind of request.
        """
        self.folder = folder
        request = {"url": url, "send": sending}
        path = folder / _REQUEST_FILE
        if not path.is_file():
            write_json(path, request)
            return
        try:
            before = load_json(path)
        except (OSError, DocumentError):
            before = None
        if before != request:
            raise UsageError(
                "the answers in this folder are to another request", where=path, expected=json.dumps(before),
                got=json.dumps(request), hint="use another --out, or delete the folder",
            )  # fmt: skip

    def path(self, image: str) -> Path:
        """Return where the answer for an image is; its name is a hash because an image id may hold any character."""
        return self.folder / f"{hashlib.sha256(image.encode('utf-8', 'surrogatepass')).hexdigest()[:32]}.json"

    def find(self, image: str, image_sha256: str) -> Answer | None:
        """Return the saved answer for an image; None: there is none, or the image has changed since."""
        try:
            answer = Answer(**load_json(self.path(image), LARGE))
        except (OSError, DocumentError, TypeError):
            return None
        return answer if (answer.image, answer.image_sha256) == (image, image_sha256) else None

    def save(self, answer: Answer) -> None:
        """Write an answer in one atomic step."""
        write_json(self.path(answer.image), asdict(answer))

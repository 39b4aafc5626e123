"""Answers as they came, one file each beside the predictions: a stop costs at most the questions in flight.

They are kept raw, so that a mapping can be mended, or another one tried, without asking again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from liftgate.documents import LARGE, DocumentError, load_json
from liftgate.errors import UsageError
from liftgate.files import write_json

_ASKED = "asked.json"


class Answer(NamedTuple):
    """One saved answer."""

    image: str
    image_sha256: str
    seconds: float
    attempts: int
    answer: Any
    """JSON as it came"""


class AnswerCache:
    """A folder of answers to one question: address and way of sending."""

    def __init__(self, folder: Path, question: Mapping[str, Any]) -> None:
        """Open a folder, or begin it.

        Raises:
            UsageError: its answers are to another question.
        """
        self.folder = folder
        asked = folder / _ASKED
        if not asked.is_file():
            write_json(asked, dict(question))
            return
        try:
            before = load_json(asked)
        except (OSError, DocumentError):
            before = None
        if before != dict(question):
            raise UsageError(
                "the answers in this folder are to another question", where=asked, expected=json.dumps(before),
                got=json.dumps(dict(question)), hint="another --out, or take the folder away",
            )  # fmt: skip

    def path(self, image: str) -> Path:
        """Where the answer on an image lies; ids may hold anything, so the name is a hash."""
        return self.folder / f"{hashlib.sha256(image.encode('utf-8', 'surrogatepass')).hexdigest()[:32]}.json"

    def find(self, image: str, image_sha256: str) -> Answer | None:
        """Return the answer on an image, unless there is none, or the image has changed since."""
        try:
            answer = Answer(**load_json(self.path(image), LARGE))
        except (OSError, DocumentError, TypeError):
            return None
        return answer if (answer.image, answer.image_sha256) == (image, image_sha256) else None

    def keep(self, answer: Answer) -> None:
        """Write an answer in one atomic step."""
        write_json(self.path(answer.image), answer._asdict())

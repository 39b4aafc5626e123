"""Content-addressed files and small named documents in an object store, or in any folder that fsspec can reach.

A file is stored once under its SHA-256, compared when it comes back, and never changed; a document (`attempt`,
`result.json`) is replaced. So a store that shows things late shows an older document or no file yet, and never a wrong
one.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import time
from pathlib import Path
from typing import Any

from liftgate.errors import LiftgateError, TrainingError, UsageError
from liftgate.files import current_umask, own_part
from liftgate.hashing import file_hash

_REFUSED = ("accessdenied", "invalidaccesskey", "signaturedoesnotmatch", "credential", "forbidden", "403", "expired")
_FULL = ("quota", "storagefull", "insufficient", "507", "no space left")
_MISSING = ("nosuchbucket", "bucket does not exist")


class Store:
    """A store under one URL, such as `s3://bucket/prefix` or `file:///mnt/store`."""

    def __init__(self, url: str) -> None:
        """Connect.

        Args:
            url: of the store; the keys and the endpoint of S3 come from the environment, as its other programs read
                them (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_ENDPOINT_URL).

        Raises:
            UsageError: fsspec has no driver for it.
        """
        self.url = url.rstrip("/")
        try:
            import fsspec

            options = {"use_listings_cache": False} if url.startswith("s3:") else {}
            self._files: Any
            self._files, self._root = fsspec.core.url_to_fs(self.url, **options)
        except (ImportError, ValueError, OSError) as error:
            hint = "pip install '.[store]' in the clone of Liftgate has S3; file:// needs nothing"
            raise UsageError(f"the store cannot be used: {error}", got=url, hint=hint) from None

    def require_usable(self) -> None:
        """Write, read and remove a small document.

        Raises:
            TrainingError: it cannot be reached, refuses the keys, is full, or has no such bucket.
        """
        name, word = f".probe-{secrets.token_hex(4)}", secrets.token_hex(8)
        self.write(name, word)
        if self.read(name) not in (word, None):  # None: it shows things late
            raise TrainingError("the store gives back something else than was written", where=self.url)
        try:
            self._files.rm(self._path(name))
        except Exception as error:
            raise self._explained(error, "remove") from None

    def put(self, path: Path) -> str:
        """Store a file under its SHA-256, unless it is there, and return it.

        Raises:
            TrainingError: it cannot be stored.
        """
        sha256 = file_hash(path)
        target = self._blob(sha256)
        try:
            if not self._files.exists(target) or self._files.size(target) != path.stat().st_size:
                part = f"{target}.part-{secrets.token_hex(4)}"
                if self._renames:
                    self._files.makedirs(os.path.dirname(target), exist_ok=True)  # noqa: PTH120 (of a store)
                    self._delete_old_parts(target)
                    self._files.put_file(str(path), part)
                    self._files.mv(part, target)
                else:  # an object appears as a whole
                    self._files.put_file(str(path), target)
        except Exception as error:
            raise self._explained(error, "store a file in") from None
        return sha256

    def get(self, sha256: str, target: Path) -> bool:
        """Fetch a file, compare it, and put it into its place as a whole; return False where it is not seen yet.

        Raises:
            TrainingError: the store cannot be read, or gives back something else.
        """
        with own_part(target) as part:
            try:
                self._files.get_file(self._blob(sha256), str(part))
            except FileNotFoundError:
                return False
            except Exception as error:
                raise self._explained(error, "fetch a file from") from None
            if (got := file_hash(part)) != sha256:
                what = "a file of the store is damaged"
                raise TrainingError(what, where=self.url, expected=sha256[:12], got=got[:12])
            part.chmod(0o666 & ~current_umask())
            part.replace(target)
        return True

    def write(self, name: str, text: str) -> None:
        """Replace a document.

        Raises:
            TrainingError: it cannot be stored.
        """
        target = self._path(name)
        try:
            if self._renames:
                part = f"{target}.part-{secrets.token_hex(4)}"
                self._files.makedirs(os.path.dirname(target), exist_ok=True)  # noqa: PTH120 (of a store)
                self._delete_old_parts(target)
                self._files.pipe_file(part, text.encode())
                self._files.mv(part, target)
            else:
                self._files.pipe_file(target, text.encode())
        except Exception as error:
            raise self._explained(error, "write to") from None

    def read(self, name: str) -> str | None:
        """Return a document; None: there is none, or it is not seen yet.

        Raises:
            TrainingError: the store cannot be read.
        """
        try:
            return bytes(self._files.cat_file(self._path(name))).decode()
        except FileNotFoundError:
            return None
        except Exception as error:
            raise self._explained(error, "read") from None

    def _delete_old_parts(self, target: str) -> None:
        """Delete what processes that were killed more than a day ago left of storing a file."""
        file = Path(target)  # `_renames`: it is one
        for part in file.parent.glob(f"{file.name}.part-*"):
            with contextlib.suppress(FileNotFoundError):  # another process has finished it, or deleted it too
                if time.time() - part.stat().st_mtime > 86400:
                    part.unlink()

    @property
    def _renames(self) -> bool:
        """Whether a file could be seen half written, so that it is written aside and renamed."""
        return "file" in self._files.protocol

    def _path(self, name: str) -> str:
        return f"{self._root}/{name}"

    def _blob(self, sha256: str) -> str:
        return self._path(f"files/{sha256[:2]}/{sha256}")

    def _explained(self, error: Exception, doing: str) -> LiftgateError:
        """Return a driver's error as one with a way out."""
        if isinstance(error, LiftgateError):
            return error
        response = getattr(error, "response", None) or getattr(error.__cause__, "response", None) or {}
        text = f"{type(error).__name__} {error} {response}".lower().replace(" ", "")
        got = (str(error).splitlines() or [type(error).__name__])[0][:200]
        number = getattr(error, "errno", None)
        if number in (errno.ENOSPC, errno.EDQUOT) or any(word.replace(" ", "") in text for word in _FULL):
            hint = "make room or raise its quota: the same command goes on from what was stored"
            return TrainingError("the object store is full", where=self.url, got=got, hint=hint)
        if isinstance(error, FileNotFoundError) or any(word.replace(" ", "") in text for word in _MISSING):
            return TrainingError("the store has no such bucket", where=self.url, got=got, hint="create it first")
        if isinstance(error, PermissionError) or any(word in text for word in _REFUSED):
            hint = "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, on the driver and on every worker"
            return TrainingError("the object store refuses these credentials", where=self.url, got=got, hint=hint)
        hint = "is its address right (AWS_ENDPOINT_URL), and can this machine reach it?"
        return TrainingError(f"cannot {doing} the object store", where=self.url, got=got, hint=hint)

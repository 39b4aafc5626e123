"""A task whose driver and worker share no folder: what each of them has to see of the other goes through a store.

The driver publishes the task, what it reads and the attempt that may work; the worker sends events, the side-car and
the results. Images are not sent: they are at the same path on every machine, as without a store.
"""

from __future__ import annotations

import contextlib
import json
import tarfile
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from liftgate.backends import sidecar
from liftgate.backends.base import PredictJob, TrainJob
from liftgate.backends.events import Json
from liftgate.engines.store import Store
from liftgate.engines.task import Fence, Task, TaskResult, replace_file
from liftgate.errors import LiftgateError
from liftgate.hashing import file_hash

_EVERY_SECONDS = 5.0  # between two looks at the store, which cost a request each
_FIRST_SECONDS = 120.0  # for which the driver's documents may be invisible to a worker
_DOCUMENTS = ("events.jsonl", "predict-events.jsonl", "train.log", "predict.log")


class TaskMirror:
    """One task in a store."""

    def __init__(self, store: Store, folder: Path, key: str) -> None:
        self._store, self._folder, self._key = store, folder, key
        self._sent: dict[str, str] = {}

    # The driver's side.

    def publish(self, task: Task, attempt: str) -> None:
        """Store a task, what it reads, and the attempt that may work on it."""
        inputs = {path: self._store.put(Path(path)) for path in task.inputs}
        needed: Json = {"inputs": inputs}
        if isinstance(task.job, TrainJob | PredictJob):
            tree = task.job.data.parent
            archive = self._store.put(_archived(tree, self._folder / ".tree.tar"))
            (self._folder / ".tree.tar").unlink()
            needed = {**needed, "tree": str(tree), "archive": archive}
        self._write("inputs.json", json.dumps(needed))
        self._write("task.json", (self._folder / "task.json").read_text(encoding="utf-8"))
        self._send_state(task)
        self.grant(attempt)

    def grant(self, attempt: str) -> None:
        """Let this attempt work, and no other; "": let none work."""
        self._write("attempt", attempt)

    def fetch(self) -> None:
        """Bring what the worker sent: events, and once there is a result, its files and at last itself."""
        for name in _DOCUMENTS:
            text = self._read(name)
            if text is not None and len(text) > _size(self._folder / name):
                replace_file(self._folder / name, text)
        if (text := self._read("result.json")) is None:
            return
        files = json.loads(self._read("files.json") or "{}")
        if all(self._has(Path(path), sha256) or self._store.get(sha256, Path(path)) for path, sha256 in files.items()):
            replace_file(self._folder / "result.json", text)

    # The worker's side.

    def receive(self, attempt: str) -> bool:
        """Bring the task and what it reads, once they can be seen; return False where another attempt may work."""
        end = time.monotonic() + _FIRST_SECONDS
        while (granted := self._read("attempt")) is None and time.monotonic() < end:
            time.sleep(1.0)
        self._folder.mkdir(parents=True, exist_ok=True)
        Fence(self._folder).grant(granted or "")
        text, listed = self._read("task.json"), json.loads(self._read("inputs.json") or "{}")
        if granted != attempt or text is None:
            return False
        replace_file(self._folder / "task.json", text)
        wanted: Mapping[str, str] = listed.get("inputs", {})
        missing = not all(self._has(Path(path), sha256) for path, sha256 in wanted.items())
        if missing and "tree" in listed:
            tree, archive = Path(listed["tree"]), self._folder / ".tree.tar"
            if not self._store.get(listed["archive"], archive):
                return False
            tree.mkdir(parents=True, exist_ok=True)
            with tarfile.open(archive) as packed:
                packed.extractall(tree, filter="tar")
            archive.unlink()
        for path, sha256 in wanted.items():
            if not self._has(Path(path), sha256):
                self._store.get(sha256, Path(path))
        self._receive_state()
        return True

    @contextlib.contextmanager
    def followed(self, task: Task) -> Iterator[None]:
        """Send events and side-cars while the block runs, and take the driver's word on which attempt may work."""
        ended = threading.Event()

        def follow() -> None:
            while not ended.wait(_EVERY_SECONDS):
                with contextlib.suppress(LiftgateError, OSError):  # tried again; the end of the block is not
                    self._exchange(task)

        thread = threading.Thread(target=follow, name="task mirror", daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()
            self._exchange(task)

    def deliver(self, task: Task, result: TaskResult) -> None:
        """Store a result: first its files, then which they are, then that it has ended."""
        files = dict(result.outputs)
        if result.ending == "done" and isinstance(task.job, TrainJob):
            out = task.job.out
            files |= {str(path): "" for path in out.rglob("*") if path.is_file() and "state" not in path.parts}
        stored = {path: self._store.put(Path(path)) for path in files}
        self._write("files.json", json.dumps(stored))
        self._write("result.json", (self._folder / "result.json").read_text(encoding="utf-8"))

    def _exchange(self, task: Task) -> None:
        if (granted := self._read("attempt")) is not None and granted != Fence(self._folder).granted():
            Fence(self._folder).grant(granted)
        for name in _DOCUMENTS:
            with contextlib.suppress(FileNotFoundError):
                text = (self._folder / name).read_text(encoding="utf-8")
                if self._sent.get(name) != text:
                    self._write(name, text)
                    self._sent[name] = text
        self._send_state(task)

    def _send_state(self, task: Task) -> None:
        """Store the newest side-car, by content: what did not change is not sent again."""
        if not isinstance(task.job, TrainJob):
            return
        newest = next(sidecar.generations(task.job.out), None)
        if newest is None or self._sent.get("state") == newest.folder.name:
            return
        with contextlib.suppress(FileNotFoundError):  # a newer one has replaced it meanwhile
            paths = [path for path in sorted(newest.folder.rglob("*")) if path.is_file()]
            files = {str(path): self._store.put(path) for path in paths}
            self._write("state.json", json.dumps(files))
            self._sent["state"] = newest.folder.name

    def _receive_state(self) -> None:
        """Bring the side-car of an attempt on another machine, and its events, where this machine has none."""
        for name in ("events.jsonl",):
            text = self._read(name)
            if text is not None and len(text) > _size(self._folder / name):
                replace_file(self._folder / name, text)
        files = json.loads(self._read("state.json") or "{}")
        for path, sha256 in files.items():
            if not self._has(Path(path), sha256):
                self._store.get(sha256, Path(path))

    def _has(self, path: Path, sha256: str) -> bool:
        try:
            return file_hash(path) == sha256
        except OSError:
            return False

    def _write(self, name: str, text: str) -> None:
        self._store.write(f"tasks/{self._key}/{name}", text)

    def _read(self, name: str) -> str | None:
        return self._store.read(f"tasks/{self._key}/{name}")


def _archived(tree: Path, archive: Path) -> Path:
    """Write the files and links of a training tree as a tar that is the same for the same content."""

    def plain(member: tarfile.TarInfo) -> tarfile.TarInfo:
        member.mtime, member.uid, member.gid, member.uname, member.gname = 0, 0, 0, "", ""
        return member

    with tarfile.open(archive, "w") as packed:
        for path in sorted(tree.rglob("*")):
            if path.suffix not in (".cache", ".npy"):
                packed.add(path, path.relative_to(tree).as_posix(), recursive=False, filter=plain)
    return archive


def _size(path: Path) -> int:
    try:
        return len(path.read_text(encoding="utf-8"))
    except OSError:
        return 0

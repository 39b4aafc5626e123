"""What serving costs beside the bare function: latency, CPU and throughput, and what a shadow adds.

    PYTHONPATH=tests python benchmarks/serve.py --out serve.json
    PYTHONPATH=src:tests python benchmarks/serve.py --litserve lit/bin/python --roboflow roboflow/bin/python

Everything that is compared runs in turns, and the first of each pair runs twice: an A/A ratio stands beside every
ratio, and where it is off by more than 5% nothing is concluded. Results are printed and written after every round.
"""

from __future__ import annotations

import argparse
import http.client
import io
import json
import os
import queue
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper
from other_servers import LITSERVE, ROBOFLOW, OtherServer, Request, Task, read_liftgate, same_work, started
from PIL import Image

import liftgate
from deploy.colours import CELL, CLASSES, SIZE, write_detector
from deploy.serving.running import RunningServer, running

TICK = os.sysconf("SC_CLK_TCK")
BARE = """
import sys, time
from pathlib import Path
from liftgate.deploy.export.described import describe_export
from liftgate.deploy.runtime.predict import load_model, with_thresholds
from liftgate.deploy.serving.uploads import decode
export = describe_export(Path(sys.argv[1]))
model = load_model(export.card, export.folder, threads=1)
use = with_thresholds(export.card.use, 0.25, None, None)
content = Path(sys.argv[2]).read_bytes()
for line in sys.stdin:
    times = []
    for _ in range(int(line)):
        begun = time.perf_counter()
        model.detect(decode(content, 1 << 28), use)
        times.append(time.perf_counter() - begun)
    print(*times, flush=True)
"""
"""The function alone, in a process of its own: a number of runs comes in, their seconds go out"""


@dataclass
class Segment:
    """One turn of one contender."""

    seconds: list[float]
    cpu: float
    """Seconds of its process for each request"""
    wall: float

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)

    @property
    def p95(self) -> float:
        return float(np.quantile(self.seconds, 0.95))

    @property
    def rate(self) -> float:
        return len(self.seconds) / self.wall


@dataclass
class Measured:
    """Values of one comparison, round by round."""

    name: str
    bar: str
    ratios: list[float] = field(default_factory=list)
    same: list[float] = field(default_factory=list)
    """A/A: the first contender's two turns of a round"""
    values: list[tuple[float, float]] = field(default_factory=list)

    def add(self, first: float, other: float, again: float) -> None:
        middle = (first + again) / 2
        self.values.append((middle, other))
        self.ratios.append(other / middle)
        self.same.append(again / first)

    def line(self) -> str:
        same = statistics.median(self.same)
        firm = "" if abs(same - 1) <= 0.05 else "  (nothing is concluded: A/A is off by more than 5%)"
        middle, other = (statistics.median(column) for column in zip(*self.values, strict=True))
        return (
            f"{self.name:<44} {middle * 1000:8.2f} {other * 1000:8.2f}  × {statistics.median(self.ratios):.3f} "
            f"[{min(self.ratios):.3f}, {max(self.ratios):.3f}]  A/A {same:.3f}  bar {self.bar}{firm}"
        )


def cpu_seconds(pid: int, *, children: bool = False) -> float:
    """Return what a process has used, user and system; its living children only where asked."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    used = (int(fields[11]) + int(fields[12])) / TICK
    if children:
        places = Path(f"/proc/{pid}/task").glob("*/children")
        used += sum(cpu_seconds(int(one), children=True) for place in places for one in place.read_text().split())
    return used


class Bare:
    """The function alone."""

    def __init__(self, model: Path, image: Path) -> None:
        command = [sys.executable, "-c", BARE, str(model), str(image)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def turn(self, requests: int) -> Segment:
        assert self._process.stdin is not None and self._process.stdout is not None
        cpu, begun = cpu_seconds(self._process.pid), time.perf_counter()
        self._process.stdin.write(f"{requests}\n")
        self._process.stdin.flush()
        seconds = [float(word) for word in self._process.stdout.readline().split()]
        wall = time.perf_counter() - begun
        return Segment(seconds, (cpu_seconds(self._process.pid) - cpu) / requests, wall)

    def close(self) -> None:
        self._process.kill()
        self._process.wait()


class Served:
    """A server, asked over connections that stay open."""

    def __init__(self, pid: int, port: int, request: Request, *, children: bool = False) -> None:
        self._pid, self._port, self._request, self._children = pid, port, request, children

    def answer(self) -> Any:
        """Return what it answers."""
        return json.loads(self._ask(http.client.HTTPConnection("127.0.0.1", self._port, timeout=60)))

    def _ask(self, line: http.client.HTTPConnection) -> bytes:
        line.request("POST", self._request.path, self._request.body, {"content-type": self._request.kind})
        answer = line.getresponse()
        body = answer.read()
        if answer.status != 200:
            raise SystemExit(f"{answer.status} from port {self._port}: {body[:500]!r}")
        return body

    def turn(self, requests: int, clients: int = 1, pause: float = 0.0) -> Segment:
        turns: queue.SimpleQueue[int] = queue.SimpleQueue()
        for number in range(requests):
            turns.put(number)
        seconds: list[float] = []

        def ask() -> None:
            line = http.client.HTTPConnection("127.0.0.1", self._port, timeout=60)
            while True:
                try:
                    turns.get_nowait()
                except queue.Empty:
                    line.close()
                    return
                begun = time.perf_counter()
                self._ask(line)
                seconds.append(time.perf_counter() - begun)
                time.sleep(pause)

        cpu, begun = cpu_seconds(self._pid, children=self._children), time.perf_counter()
        threads = [threading.Thread(target=ask) for _ in range(clients)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        wall = time.perf_counter() - begun
        used = cpu_seconds(self._pid, children=self._children) - cpu
        return Segment(seconds, used / requests, wall)


@dataclass
class Table:
    """All comparisons, written after every round."""

    rounds: int
    out: Path | None
    rows: list[Measured] = field(default_factory=list)

    def compare(
        self,
        first: Callable[[], Segment],
        other: Callable[[], Segment],
        *wanted: tuple[str, str, Callable[[Segment], float]],
    ) -> None:
        """Run rounds of first, other, first, and print a line for each name, bar and value that are wanted."""
        rows = [Measured(name, bar) for name, bar, _ in wanted]
        self.rows += rows
        for _ in range(self.rounds):
            a, b, again = first(), other(), first()
            for row, (_, _, value) in zip(rows, wanted, strict=True):
                row.add(value(a), value(b), value(again))
            if self.out is not None:
                self.out.write_text(json.dumps([vars(one) for one in self.rows], indent=1))
        print(*(row.line() for row in rows), sep="\n", flush=True)


def beside(table: Table, server: OtherServer, python: str, task: Task, served: Served, requests: int) -> None:
    """Compare Liftgate's server with another that finds the same."""
    with started(server, python, task) as place:
        other = Served(*place, server.request(task), children=True)  # LitServe has its model in a child
        other.turn(10)
        print(same_work(server.name, read_liftgate(served.answer()), server.read(other.answer())), flush=True)
        table.compare(
            lambda: served.turn(requests),
            lambda: other.turn(requests),
            (f"median ms, one client: served, {server.name}", "none", lambda one: one.median),
            (f"CPU ms a request, one client: served, {server.name}", "none", lambda one: one.cpu),
        )
        table.compare(
            lambda: served.turn(requests, 4),
            lambda: other.turn(requests, 4),
            (f"s for 1,000 images, four clients: served, {server.name}", "none", lambda one: 1 / one.rate),
        )


@contextmanager
def shadowed(server: RunningServer, log: Path, registry: Path, body: bytes) -> Iterator[None]:
    """Let a challenger see the requests of a server, and wait until it does."""
    liftgate.shadow_start("v0.1", log, registry=registry)
    for _ in range(600):
        if any(one["event"] == "shadow started" for one in server.lines):
            break
        time.sleep(0.1)
    for _ in range(30):
        server.predict(body)
        time.sleep(0.1)
    yield
    state = liftgate.shadow_status(log).test.state
    print(f"shadow: {state.status}, {state.offered} offered, {state.shed} shed", flush=True)
    liftgate.shadow_stop(log)


def main() -> None:
    """Measure all of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--requests", type=int, default=40, help="of one turn (default: 40)")
    parser.add_argument("--ballast", type=int, default=6, help="convolutions that only take time (default: 6)")
    parser.add_argument("--litserve", metavar="PYTHON", help="an interpreter that has litserve and Liftgate's packages")
    parser.add_argument("--roboflow", metavar="PYTHON", help="an interpreter that has inference-cpu[http]")
    parser.add_argument("--out", type=Path, help="write all values as JSON after every round")
    args = parser.parse_args()
    table, n = Table(args.rounds, args.out), args.requests

    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="liftgate-serve-")))
        registry = folder / "models"
        for number in range(2):
            path = write_detector(folder / f"detector{number}.onnx", shift=0.01 * number)
            add_ballast(path, args.ballast)
            liftgate.add_model(path, registry=registry)
        liftgate.promote("v0", registry=registry, override="a benchmark")
        image = folder / "image.jpg"
        request = Request("/predict", photo(), "image/jpeg")
        image.write_bytes(request.body)
        words = ("--registry", registry, "--threads", "1")

        bare = Bare(folder / "detector0.onnx", image)
        stack.callback(bare.close)
        server = stack.enter_context(running(*words))
        served = Served(server.process.pid, server.port, request)
        for one in (bare.turn, served.turn):
            one(10)
        table.compare(
            lambda: bare.turn(n),
            lambda: served.turn(n),
            ("median ms, one client: bare, served", "≤ 1.10 or + 3 ms", lambda one: one.median),
            ("CPU ms a request, one client: bare, served", "≤ 1.15", lambda one: one.cpu),
        )
        table.compare(
            lambda: bare.turn(n),
            lambda: served.turn(n, 4),
            ("s for 1,000 images, four clients: bare, served", "≤ 1.11 (throughput ≥ .90)", lambda one: 1 / one.rate),
        )
        answer = served.answer()
        task = Task(
            folder / "detector0.onnx", CLASSES, SIZE, request.body, confidence=answer["threshold"], iou=answer["iou"]
        )
        for other, python in ((LITSERVE, args.litserve), (ROBOFLOW, args.roboflow)):
            if python:
                beside(table, other, python, task, served, n)

        plain = stack.enter_context(running(*words, "--log", folder / "plain"))
        watched = stack.enter_context(running(*words, "--log", folder / "watched"))
        first, second = (Served(one.process.pid, one.port, request) for one in (plain, watched))
        with shadowed(watched, folder / "watched", registry, request.body):
            for one in (first, second):
                one.turn(10)
            table.compare(
                lambda: first.turn(2 * n, pause=0.05),
                lambda: second.turn(2 * n, pause=0.05),
                ("CPU ms a request: alone, with a shadow", "≤ 1.02", lambda one: one.cpu),
                ("95% ms, paced: alone, with a shadow", "≤ 1.05", lambda one: one.p95),
            )


def add_ballast(path: Path, convolutions: int) -> None:
    """Add convolutions whose sum, times 1e-30, goes into the scores: the model finds the same and takes its time."""
    model = onnx.load(str(path))
    graph, random = model.graph, np.random.default_rng(0)
    before = "images"
    for number in range(convolutions):
        weights = random.normal(0, 0.05, (32, 3 if number == 0 else 32, 3, 3)).astype(np.float32)
        graph.initializer.append(numpy_helper.from_array(weights, f"ballast_weights{number}"))
        graph.node.append(
            helper.make_node("Conv", [before, f"ballast_weights{number}"], [f"ballast{number}"], pads=[1, 1, 1, 1])
        )
        before = f"ballast{number}"
    graph.initializer.append(numpy_helper.from_array(np.float32(1e-30), "little"))
    graph.initializer.append(numpy_helper.from_array(np.array([1, 1, 1], np.int64), "flat"))
    graph.node.append(helper.make_node("ReduceMean", [before], ["ballast_mean"], axes=[1, 2, 3], keepdims=1))
    graph.node.append(helper.make_node("Mul", ["ballast_mean", "little"], ["ballast_little"]))
    graph.node.append(helper.make_node("Reshape", ["ballast_little", "flat"], ["ballast_flat"]))
    last = next(one for one in graph.node if one.name == "concat")
    output = last.output[0]
    last.output[0] = "found"
    graph.node.append(helper.make_node("Add", ["found", "ballast_flat"], [output]))
    onnx.checker.check_model(model)
    onnx.save(model, str(path))


def photo() -> bytes:
    """Return a JPEG of 640 × 480 with noise, as a camera would send it, and five things to find."""
    random = np.random.default_rng(0)
    pixels = random.normal(90, 20, (480, 640, 3))
    side = 640 // (SIZE // CELL)
    for colour, row, column in ((0, 1, 1), (1, 2, 3), (2, 0, 5), (0, 4, 6), (1, 5, 2)):
        square = pixels[row * side : (row + 1) * side, column * side : (column + 1) * side]
        square += np.where(np.arange(3) == colour, 110, -80)
    buffer = io.BytesIO()
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


if __name__ == "__main__":
    main()

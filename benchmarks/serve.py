"""What serving costs beside the bare function: latency, CPU and throughput, and what a shadow adds.

    PYTHONPATH=tests python benchmarks/serve.py --out serve.json

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
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import onnx
from onnx import helper, numpy_helper
from PIL import Image

import liftgate
from deploy.colours import write_detector
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


def cpu_seconds(pid: int) -> float:
    """Return what a process has used, user and system, its children not."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICK


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

    def __init__(self, pid: int, port: int, body: bytes, path: str = "/predict", kind: str = "image/png") -> None:
        self._pid, self._port, self._body, self._path, self._kind = pid, port, body, path, kind

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
                line.request("POST", self._path, self._body, {"content-type": self._kind})
                answer = line.getresponse()
                answer.read()
                seconds.append(time.perf_counter() - begun)
                if answer.status != 200:
                    raise SystemExit(f"{answer.status} from port {self._port}")
                time.sleep(pause)

        cpu, begun = cpu_seconds(self._pid), time.perf_counter()
        threads = [threading.Thread(target=ask) for _ in range(clients)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        wall = time.perf_counter() - begun
        return Segment(seconds, (cpu_seconds(self._pid) - cpu) / requests, wall)


def compare(
    found: Sequence[tuple[Measured, Callable[[Segment], float]]],
    first: Callable[[], Segment],
    other: Callable[[], Segment],
    rounds: int,
    done: Callable[[], None],
) -> None:
    """Run rounds of first, other, first; alternate which end comes first."""
    for _ in range(rounds):
        a, b, again = first(), other(), first()
        for measured, value in found:
            measured.add(value(a), value(b), value(again))
        done()


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
    parser.add_argument("--out", type=Path, help="write all values as JSON after every round")
    args = parser.parse_args()
    table: list[Measured] = []

    def note(name: str, bar: str) -> Measured:
        table.append(Measured(name, bar))
        return table[-1]

    def save() -> None:
        if args.out is not None:
            args.out.write_text(json.dumps([vars(one) for one in table if one.values], indent=1))

    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="liftgate-serve-")))
        registry = folder / "models"
        for number in range(2):
            path = write_detector(folder / f"detector{number}.onnx", shift=0.01 * number)
            add_ballast(path, args.ballast)
            liftgate.add_model(path, registry=registry)
        liftgate.promote("v0", registry=registry, override="a benchmark")
        image = folder / "image.png"
        body = photo()
        image.write_bytes(body)
        words = ("--registry", registry, "--threads", "1")

        bare = Bare(folder / "detector0.onnx", image)
        stack.callback(bare.close)
        server = stack.enter_context(running(*words))
        served = Served(server.process.pid, server.port, body)
        for one in (bare.turn, served.turn):
            one(10)
        latency = note("median ms, one client: bare, served", "≤ 1.10 or + 3 ms")
        cpu = note("CPU ms a request, one client: bare, served", "≤ 1.15")
        n = args.requests
        compare(
            [(latency, lambda one: one.median), (cpu, lambda one: one.cpu)],
            lambda: bare.turn(n), lambda: served.turn(n), args.rounds, save,
        )  # fmt: skip
        print(latency.line(), cpu.line(), sep="\n", flush=True)
        flow = note("s for 1,000 images, four clients: bare, served", "≤ 1.11 (throughput ≥ .90)")
        compare([(flow, lambda one: 1 / one.rate)], lambda: bare.turn(n), lambda: served.turn(n, 4), args.rounds, save)
        print(flow.line(), flush=True)
        if args.litserve:
            port = stack.enter_context(litserve(args.litserve, folder / "detector0.onnx"))
            boundary = "edge"
            form = f'--{boundary}\r\nContent-Disposition: form-data; name="image"; filename="a.png"\r\n\r\n'.encode()
            form += body + f"\r\n--{boundary}--\r\n".encode()
            other = Served(port[0], port[1], form, kind=f"multipart/form-data; boundary={boundary}")
            other.turn(10)
            beside = note("median ms, one client: bare, LitServe", "none")
            compare([(beside, lambda one: one.median)], lambda: bare.turn(n), lambda: other.turn(n), 4, save)
            print(beside.line(), flush=True)

        plain = stack.enter_context(running(*words, "--log", folder / "plain"))
        watched = stack.enter_context(running(*words, "--log", folder / "watched"))
        first, second = (Served(one.process.pid, one.port, body) for one in (plain, watched))
        with shadowed(watched, folder / "watched", registry, body):
            for one in (first, second):
                one.turn(10)
            shadow_cpu = note("CPU ms a request: alone, with a shadow", "≤ 1.02")
            shadow_p95 = note("95% ms, paced: alone, with a shadow", "≤ 1.05")
            compare(
                [(shadow_cpu, lambda one: one.cpu), (shadow_p95, lambda one: one.p95)],
                lambda: first.turn(2 * n, pause=0.05), lambda: second.turn(2 * n, pause=0.05), args.rounds, save,
            )  # fmt: skip
        print(shadow_cpu.line(), shadow_p95.line(), sep="\n", flush=True)


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
    """Return a JPEG of 640 × 480 with noise, as a camera would send it."""
    random = np.random.default_rng(0)
    pixels = random.normal(90, 20, (480, 640, 3)).clip(0, 255).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


LITSERVE = """
import sys
from pathlib import Path
import litserve
from liftgate.deploy.export.described import describe_export
from liftgate.deploy.runtime.predict import load_model, with_thresholds
from liftgate.deploy.serving.uploads import decode
class Api(litserve.LitAPI):
    def setup(self, device):
        export = describe_export(Path(sys.argv[1]))
        self.model = load_model(export.card, export.folder, threads=1)
        self.use = with_thresholds(export.card.use, 0.25, None, None)
    def decode_request(self, request):
        return decode(request["image"].file.read(), 1 << 28)
    def predict(self, pixels):
        return self.model.detect(pixels, self.use)
    def encode_response(self, found):
        return {"boxes": found.boxes.tolist(), "scores": found.scores.tolist()}
if __name__ == "__main__":
    server = litserve.LitServer(Api(), accelerator="cpu")
    server.run(host="127.0.0.1", port=int(sys.argv[2]), num_api_servers=1, generate_client_file=False)
"""


@contextmanager
def litserve(python: str, model: Path) -> Iterator[tuple[int, int]]:
    """Yield process id and port of a LitServe server with the same function."""
    import socket

    with socket.create_server(("127.0.0.1", 0)) as found:
        port = found.getsockname()[1]
    script = model.with_name("lit.py")
    script.write_text(LITSERVE)
    command = [python, str(script), str(model), str(port)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(300):
            time.sleep(0.2)
            try:
                line = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
                line.request("GET", "/health")
                if line.getresponse().status == 200:
                    break
            except OSError:
                continue
        yield process.pid, port
    finally:
        process.terminate()
        process.wait(20)


if __name__ == "__main__":
    main()

"""Coverage-guided fuzzing of what reads other people's files, through the command line, with atheris.

    PYTHONPATH=src:tests:SITE PYTHON -P benchmarks/fuzz.py --corpus FOLDER [--seconds 60] [--only COCO,VOC]
        [--keep tests/cli/fuzzed.json]

PYTHON has atheris, which is no dependency of Liftgate; SITE is the folder of packages of the environment that has the
rest. Kinds of files and the commands that read them are those of tests/cli/test_mutated_files.py and
test_mutated_records.py. Each kind has a process of its own and a folder in FOLDER: `corpus`, what reached new code and
what a second run goes on from, and `found`, what ended in an exception, an exit code that is not expected, or took
over 60 s or 3 GB. Kernels run as Python: what is compiled cannot be followed.
`--keep` fuzzes nothing: it adds to a file, for tests/cli/test_fuzzed_files.py, the newest three of each kind in FOLDER
that reached new code.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import random
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import atheris

ONE = sys.argv[1:2] == ["--one"]
"""This process fuzzes one kind"""
with atheris.instrument_imports(include=["liftgate"]) if ONE else contextlib.nullcontext():
    from cli.test_mutated_files import CASES, EXPECTED, PIECES, mutated, write_place
    from cli.test_mutated_records import FILES, write_more, write_openvino
    from liftgate.cli import main as liftgate

KINDS = {**CASES, **FILES}
OUTPUTS = ("o.json", "o.settings.json", "s.csv")
MOST_FAULTS = 5  # of a kind, after which it is not fuzzed any more
MOST_KEPT, MOST_BYTES_KEPT = 3, 2000  # files of a kind for the tests, and bytes of each


def fuzz(kind: str, place: Path, words: list[str]) -> None:
    """Fuzz one kind until libFuzzer ends this process."""
    text, file, command = KINDS[kind]
    write_place(place)
    write_more(place)
    if kind == "metadata.yaml":
        write_openvino(place)
    os.chdir(place)

    def run(data: bytes) -> None:
        (place / file).write_bytes(data)
        for output in OUTPUTS:
            (place / output).unlink(missing_ok=True)
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()) as said:
            code = liftgate(command)
        if code not in EXPECTED.get(kind, (0, 2, 3)) or "Traceback" in said.getvalue() or len(said.getvalue()) > 20_000:
            raise AssertionError(f"exit code {code}: {said.getvalue()[-300:]}")

    with atheris.instrument_imports(include=["liftgate"]):  # what is imported at its first use
        run(text.encode())
    atheris.Setup([sys.argv[0], *words], run)
    atheris.Fuzz()


def fuzz_for(kind: str, folder: Path, seconds: float) -> str:
    """Fuzz one kind for so many seconds, in processes of its own, and return what came of it."""
    corpus, found = folder / "corpus", folder / "found"
    for place in (corpus, found):
        place.mkdir(parents=True, exist_ok=True)
    text, rng = KINDS[kind][0], random.Random(kind)
    for number in range(20):
        seed = text if number == 0 else mutated(text, rng)
        (corpus / f"seed-{number:02d}").write_bytes(seed.encode("utf-8", "surrogatepass"))
    words = folder / "words.txt"
    words.write_text("".join(f'"{escaped(piece)}"\n' for piece in PIECES if 0 < len(piece) < 100))
    end, executions, covered = time.monotonic() + seconds, 0, 0
    while (left := int(end - time.monotonic())) > 0 and len(list(found.iterdir())) < MOST_FAULTS:
        options = [
            f"-max_total_time={left}",
            "-timeout=60",
            "-report_slow_units=60",
            "-rss_limit_mb=3000",
            f"-artifact_prefix={found}/",
        ]
        options += [f"-max_len={max(4096, 4 * len(text))}", f"-dict={words}", "-print_final_stats=1", str(corpus)]
        paths = os.pathsep.join(map(os.path.abspath, os.environ.get("PYTHONPATH", "").split(os.pathsep)))
        env = {**os.environ, "PYTHONPATH": paths, "LIFTGATE_TRACEBACK": "1", "LIFTGATE_KERNELS": "off"}
        command = [sys.executable, "-P", str(Path(__file__).absolute()), "--one", kind, *options]
        with tempfile.TemporaryDirectory() as place:
            ran = subprocess.run(command, check=False, cwd=place, env=env, capture_output=True, errors="replace")
        executions += sum(map(int, re.findall(r"number_of_executed_units: (\d+)", ran.stderr)))
        covered = max([covered, *map(int, re.findall(r"cov: (\d+)", ran.stderr))])
        if ran.returncode:
            (folder / f"fault-{len(list(folder.glob('fault-*')))}.txt").write_text(ran.stderr[-6000:])
            if "number_of_executed_units" not in ran.stderr:
                return f"{kind}: cannot be fuzzed: {ran.stderr[-300:]}"
    kept, faults = (len(list(place.iterdir())) for place in (corpus, found))
    return f"{kind}: {executions} runs, {covered} places of the code, {kept} files kept, {faults} faults"


def keep(corpus: Path, file: Path) -> None:
    """Add to a JSON file the newest files of each kind that reached new code, as Latin-1."""
    kept: dict[str, list[str]] = json.loads(file.read_text()) if file.exists() else {}
    for kind in KINDS:
        found = [path for path in (corpus / folder_of(kind) / "corpus").glob("*") if not path.name.startswith("seed-")]
        small = [path for path in found if path.stat().st_size <= MOST_BYTES_KEPT]
        newest = sorted(small, key=lambda path: path.stat().st_mtime)[-MOST_KEPT:]
        if newest:
            kept[kind] = [path.read_bytes().decode("latin-1") for path in newest]
    file.write_text(json.dumps(kept, indent=0) + "\n")


def folder_of(kind: str) -> str:
    """Return the name of a kind's folder."""
    return re.sub(r"\W+", "_", kind)


def escaped(text: str) -> str:
    """Return a word of libFuzzer's dictionary."""
    return "".join(f"\\x{byte:02x}" for byte in text.encode("utf-8", "surrogatepass"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument("--seconds", type=float, default=60.0, help="of each kind")
    parser.add_argument("--only", help="kinds, with commas between them")
    parser.add_argument("--keep", type=Path, help="file to add to")
    args = parser.parse_args()
    if args.keep is not None:
        keep(args.corpus, args.keep)
        return
    for kind in args.only.split(",") if args.only else KINDS:
        print(fuzz_for(kind, args.corpus.absolute() / folder_of(kind), args.seconds), flush=True)


if __name__ == "__main__":
    if ONE:
        fuzz(sys.argv[2], Path.cwd(), sys.argv[3:])
    else:
        main()

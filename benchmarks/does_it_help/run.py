"""Run one study of this folder on open data, and publish its ledger.

    python -P benchmarks/does_it_help/run.py NAME [--data FOLDER] [--weights FILE] [--work FOLDER] [--prepare]

NAME     bccd, dice, coco_persons or digits: a study file beside this script
--data   folder of the data set as it was published (digits: made here, from what scikit-learn ships)
--weights  YOLOv8n with COCO weights (digits: none)
--work   where to run; default: does_it_help in the folder for temporary files. A second run goes on where it stopped.

Nothing is downloaded. `liftgate run` records question and gates, with their hashes, before any number. The ledger goes
to ledgers/NAME as soon as the study has an answer; it names files by their path, so that one which would name a folder
outside --work is not published. No image, weight or prediction is.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from liftgate.demo import demo_dataset
from liftgate.demo.repair import repair
from liftgate.errors import LedgerError, LiftgateError, UsageError
from liftgate.files import write_text
from liftgate.ledger import Ledger
from liftgate.ledger.last_run import read_last_run

HERE = Path(__file__).resolve().parent
STUDIES = tuple(sorted(path.stem for path in HERE.glob("*.yaml")))
DICE = "train: data/images/train\nval: data/images/test\nnames: [one, two, three, four, five, six]\n"
ABSOLUTE = re.compile(r"(?<![\w./:\-])/(?:[\w.\-]+/)*[\w.\-]+")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", choices=STUDIES)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--work", type=Path, default=Path(tempfile.gettempdir()) / "does_it_help")
    parser.add_argument("--prepare", action="store_true", help="make data and study ready, run nothing")
    args = parser.parse_args()
    try:
        study = prepare(args.name, args.work.absolute() / args.name, args.data, args.weights)
        if args.prepare:
            print(study)
            return 0
        code = liftgate("run", study)
        ledger = Ledger(study.parent / "runs" / args.name / "ledger.sqlite")
        if ledger.path.exists():
            publish(ledger, HERE / "ledgers" / args.name, args.work.absolute())
        return code
    except LiftgateError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


def prepare(name: str, folder: Path, data: Path | None, weights: Path | None) -> Path:
    """Make study, data and weights ready in `folder` and return the path of the study."""
    study = folder / "study.yaml"
    text = (HERE / f"{name}.yaml").read_text("utf-8")
    if "yolov8n.pt" in text:
        put(folder / "yolov8n.pt", weights, "--weights", "YOLOv8n with COCO weights, yolov8n.pt")
    if name == "digits":
        delivered = demo_dataset.build_dataset(folder / "delivered")
        repair(delivered.data_yaml, folder / "mended", transposed=True)
        tiny = Path(demo_dataset.__file__).parent / "files" / "tiny.yaml"
        shutil.copyfile(tiny, folder / "tiny.yaml")
    else:
        put(folder / "data", data, "--data", "the folder of the published data set")
    if name == "dice":
        write_text(folder / "data.yaml", DICE)
        if not (folder / "groups.csv").exists():
            liftgate("data", "duplicates", folder / "data.yaml", "--groups-out", folder / "groups.csv", quiet=True)
    write_text(study, text)
    return study


def put(path: Path, source: Path | None, option: str, expected: str) -> None:
    """Copy what an option names to `path`, or link to it where it is a folder; what stands is kept.

    A link to the weights would put the folder in which they lie into the ledger.
    """
    if path.exists():
        return
    if source is None or not source.exists():
        raise UsageError("this study needs it", where=option, expected=expected, got=source or "nothing")
    path.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        path.symlink_to(source.resolve())
    else:
        shutil.copyfile(source, path)


def liftgate(*words: str | Path, quiet: bool = False) -> int:
    """Run a command of Liftgate and return its exit code."""
    out = subprocess.DEVNULL if quiet else None
    return subprocess.run(
        [sys.executable, "-P", "-m", "liftgate", *map(str, words)], check=False, stdout=out
    ).returncode


def publish(ledger: Ledger, folder: Path, work: Path) -> None:
    """Copy a ledger, with its head file, to `folder`.

    Raises:
        LedgerError: the study has no answer yet, or the ledger names folders outside `work`.
    """
    flow = read_last_run(ledger).flow
    if flow is None or flow.ended or flow.answer is None:
        raise LedgerError("not published: the study has no answer yet", where=ledger.path)
    if found := paths_outside(ledger, work):
        raise LedgerError("not published: it names folders of this machine", where=ledger.path, got=", ".join(found))
    for name in ("ledger.sqlite", "ledger.sqlite.head"):
        (folder / name).unlink(missing_ok=True)
    folder.mkdir(parents=True, exist_ok=True)
    ledger.copy_to(folder / "ledger.sqlite")
    print(f"published: {folder.relative_to(HERE)}, {flow.answer}, head {ledger.head}")


def paths_outside(ledger: Ledger, work: Path) -> list[str]:
    """Return the absolute paths in a ledger that do not lie in `work`."""
    found: set[str] = set()
    for entry in ledger.entries():
        found.update(path for path in ABSOLUTE.findall(str(entry.body)) if not path.startswith(f"{work}/"))
    return sorted(found)


if __name__ == "__main__":
    sys.exit(main())

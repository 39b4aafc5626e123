"""Files that a record has the hash of, compared with it wherever a command is given their path."""

from __future__ import annotations

from pathlib import Path

from liftgate.errors import DataError, LedgerError
from liftgate.hashing import file_hash, short
from liftgate.ledger.chain import Ledger
from liftgate.ledger.nearby import is_of_a_study
from liftgate.ledger.records import SampleEntry, StepEntry
from liftgate.ledger.results import PredictResult
from liftgate.ledger.runs import RECORDED_FILES, RunFolder


def require_unchanged_run(results: Path) -> None:
    """Refuse the results of a finished run of Liftgate that were changed since it ended; other folders pass.

    Args:
        results: folder with results.csv and args.yaml.

    Raises:
        DataError: a file was changed, or is gone.
        LedgerError: the run's record was changed.
    """
    run = RunFolder(results.absolute().parent)
    if results.name != run.results.name or not run.record_path.is_file():
        return
    hint = "restore it from a copy; the report's curves are drawn from the ledger"
    for name, written in run.read().files.items():
        path = run.path / name
        if name in RECORDED_FILES and not path.is_file():
            raise DataError(f"{path.name} of a finished run is gone", where=path, hint=hint)
        if name in RECORDED_FILES and (found := file_hash(path)) != written:
            what = f"{path.name} was changed since the run ended"
            raise DataError(what, where=path, expected=short(written), got=short(found), hint=hint)


def require_unchanged_predictions(path: Path) -> None:
    """Refuse predictions in the folder of a study that differ from those in its ledger; other files pass.

    Raises:
        DataError: the file or its settings were changed.
        LedgerError: the ledger is damaged.
    """
    path = path.absolute()
    folder, name = path.parent.parent, path.name.partition("#")[0]
    if not is_of_a_study(path):
        return
    steps = (step for step in Ledger(folder / "ledger.sqlite").records(StepEntry) if step.kind == "predict")
    results = [result for step in steps if Path((result := PredictResult.from_body(step.result)).file).name == name]
    if not results:
        return
    newest = results[-1]
    files = {name: newest.file_sha256, f"{Path(name).stem}.settings.json": newest.settings_sha256}
    for file, written in files.items():
        there = path.with_name(file)
        found = file_hash(there) if there.is_file() else "no file"
        if written is not None and found != written:
            what = "not the predictions on record: the file was changed"
            hint = f"delete {name}: `liftgate run` predicts again; a copy elsewhere is taken as it is"
            raise DataError(what, where=there, expected=short(written), got=short(found), hint=hint)


def require_recorded_sample(path: Path, sample: str) -> None:
    """Refuse a drawn sample that differs from the one on record; one that no study near it has recorded passes.

    Args:
        path: sample.csv; ledgers in `runs/` of its folder, of that above and of the current one are searched.
        sample: hash of what it says now.

    Raises:
        DataError: it was changed since it was drawn.
        LedgerError: a ledger there is damaged.
    """
    path = path.absolute()
    for folder in dict.fromkeys((path.parent, path.parent.parent, Path.cwd())):
        for place in sorted(folder.glob("runs/*/ledger.sqlite")):
            ledger = Ledger(place)
            try:
                entries = ledger.records(SampleEntry)
            except LedgerError:
                if ledger.is_foreign():
                    continue
                raise
            known = [one.sample for one in entries if (folder / one.file).resolve() == path.resolve()]
            if known and known[-1] != sample:
                raise DataError(
                    f"not the sample that the study {place.parent.name} has on record", where=path,
                    expected=short(known[-1]), got=short(sample), hint="restore the file that `data sample` wrote",
                )  # fmt: skip

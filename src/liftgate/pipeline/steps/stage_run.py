"""Stage run: one attempt to train a stage, in the run folder of an unfinished attempt or in a new one.

Results are written in an order that makes a kill at any point harmless: weights, decisions, the `run` entry, run.json,
and finally the `step` entry.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from liftgate.backends import sidecar
from liftgate.backends.base import Paused, TrainJob
from liftgate.backends.events import Emit, EpochReport, Event
from liftgate.diagnosis import diagnose
from liftgate.diagnosis.live import LiveDiagnosis
from liftgate.errors import DataError, Stopped, TrainingError
from liftgate.hashing import file_hash
from liftgate.ledger.preflight import preflight
from liftgate.ledger.records import Body, DecisionEntry, DecisionRow, FindingRow, StepEntry
from liftgate.ledger.results import EpochRow, RunEntry, TrainResult
from liftgate.ledger.runs import RunFolder, RunRecord, State
from liftgate.paths import relative_within
from liftgate.pipeline.budget import Ceiling
from liftgate.pipeline.context import Context
from liftgate.pipeline.epoch_timer import RunClock
from liftgate.pipeline.notice import Notice, warning
from liftgate.pipeline.spending import epoch_seconds
from liftgate.pipeline.step import Step, damage
from liftgate.pipeline.steps.checking import CheckOutcome
from liftgate.pipeline.steps.stopping import decision_points, end_word, expected_rows
from liftgate.study.records import Arm
from liftgate.training import launch
from liftgate.training.command import training_command
from liftgate.training.events import read_events
from liftgate.training.stopping_rules import judge
from liftgate.training.tracking import Tracked

if TYPE_CHECKING:
    from liftgate.engines.dispatch import Dispatcher
    from liftgate.engines.task import Task


class StageRun:
    """One attempt at one stage with one seed."""

    def __init__(self, context: Context, step: Step[TrainResult], arm: Arm, number: int, seed: int) -> None:
        self._context, self._step = context, step
        self._arm, self._number, self._seed = arm, number, seed
        self._stage = arm.stages[number - 1]
        self._clock = RunClock()

    def train(self, weights: str) -> TrainResult:
        """Train from `weights`, or resume the unfinished run of the same step, and record the run.

        Raises:
            Stopped: it was stopped, or the budget is spent; the same call resumes it.
            TrainingError: the training failed.
            DataError: images were removed or changed meanwhile.
        """
        context = self._context
        if (known := self._recorded_result()) is not None:
            return known
        ceiling = Ceiling.of(context, context.runs.unfinished(self._step.key))
        run, job = self._open(weights)
        self._clock.start(run.read().seconds or 0.0)
        ceiling.start()
        try:
            outcome = self._launch(job, run, ceiling)
        except Paused as pause:
            seconds = self._clock.seconds
            if (stopped := _stopped_by_decision(job, run)) is not None:
                return self._finish(run, job, stopped, seconds)
            run.update(state="paused", seconds=seconds)
            hint = "the same command goes on from the last finished epoch"
            reason = context.stop_reason() or ceiling.reason() or context.over_budget() or str(pause)
            raise Stopped(reason, where=run.path, hint=hint) from None
        except Stopped:  # at once, in the middle of an epoch
            run.update(state="paused", seconds=self._clock.seconds)
            raise
        except TrainingError as error:
            run.update(seconds=self._clock.seconds)
            run.fail(error)
            raise
        finally:
            context.runs.write_report()
        return self._finish(run, job, outcome, self._clock.seconds)

    def task(self, weights: str) -> Task | None:
        """Make the run's folder and return the task that trains in it; None: a killed attempt has finished the run."""
        if self._recorded_result() is not None:
            return None
        run, job = self._open(weights)
        return self._task(job, run)

    def unrecorded_weights(self, which: str) -> str | None:
        """Return the weights of a run that the engine has finished and the ledger not yet; None: a decision stopped it.

        Args:
            which: `best` or `last`.
        """
        run = self._context.runs.unfinished(self._step.key)
        if run is None:
            return None
        job = self._job("", run)
        reports = [event for event in read_events(run.path / "events.jsonl") if isinstance(event, EpochReport)]
        if end_word(judge(job.decide, reports, ended=True)) == "STOPPED":
            return None
        return str(_link_weights(run.results / "weights" / f"{which}.pt", run.results / f"{which}.pt"))

    def _open(self, weights: str) -> tuple[RunFolder, TrainJob]:
        """Return the folder of the unfinished run, or a new one, and the job."""
        unfinished = self._context.runs.unfinished(self._step.key)
        run = unfinished or self._new_folder("running")
        job = self._write_before(weights, run, CheckOutcome.recorded(self._context))
        if unfinished is None or run.read().state == "prepared":
            run.update(state="running")
            self._continue_stopped_run(run, job)
        return run, job

    def _task(self, job: TrainJob, run: RunFolder) -> Task:
        from liftgate.pipeline.engine import make_task

        backend = self._context.study.backend_of(self._arm)
        return make_task(self._context, self._step.key, self._step.name, run.path, job, backend)

    def prepare(self, weights: str, checked: CheckOutcome) -> RunFolder:
        """Write the run's folder with preflight.json and command.sh, and train nothing; `train` goes on in it.

        Args:
            weights: where the start weights are, or will be once the stage before is trained.
            checked: what preflight.json says of the check.
        """
        run = self._context.runs.unfinished(self._step.key) or self._new_folder("prepared")
        self._write_before(weights, run, checked)
        return run

    def _new_folder(self, state: State) -> RunFolder:
        step = self._step
        known: dict[str, Any] = {"arm": self._arm.name, "stage": self._number, "seed": self._seed, "state": state}
        return self._context.runs.create(step.name.removeprefix("train "), step.key, **known)

    def _write_before(self, weights: str, run: RunFolder, checked: CheckOutcome) -> TrainJob:
        """Write what is known before the first epoch: preflight.json and command.sh."""
        study, job, begun = self._context.study, self._job(weights, run), self._context.runs.begun
        if run.name in begun:  # by this process, before its turn
            return job
        begun.add(run.name)
        run.write_preflight(preflight(study.folder, study=study.name, **checked.to_body(), **self._identity()))
        run.write_command(training_command(job))
        return job

    def _identity(self) -> Body:
        step = self._step
        return {"arm": self._arm.name, "stage": self._number, "step": step.key, **step.inputs}

    def _job(self, weights: str, run: RunFolder) -> TrainJob:
        study, inputs = self._context.study, self._step.inputs
        points = decision_points(study, self._context.ledger, self._arm, self._number, inputs["data"])
        return TrainJob(
            weights=weights,
            data=self._context.datasets.training_tree(self._stage),
            recipe=inputs["recipe"],
            seed=self._seed,
            task=study.task,
            out=run.results,
            device=study.device,
            select=self._stage.select,
            decide=tuple(points),
        )

    def _launch(self, job: TrainJob, run: RunFolder, ceiling: Ceiling) -> launch.TrainOutcome:
        study = self._context.study
        tracked = Tracked(study.log, study=study.name, folder=run.path, known=self._identity(), complain=self._warn)

        def on_event(event: Event) -> None:
            body = event.to_body()
            if isinstance(event, EpochReport):
                ceiling.record(EpochRow(body))
                tracked(event)
                self._compare_with_expected(EpochRow(body))
            self._notify({"kind": event.kind, **body})

        def stop() -> bool:
            over = self._context.over_budget if self._context.tasks else ceiling.reason
            return bool(self._context.stop_reason() or over())

        with tracked:
            if (stopped := _stopped_by_decision(job, run)) is not None:
                return stopped
            live = LiveDiagnosis(job.out, on_event)
            if self._context.tasks is not None:
                return self._follow(self._context.tasks, job, run, live, stop)
            return launch.train(job, backend=study.backend_of(self._arm), folder=run.path, on_event=live, stop=stop)

    def _follow(
        self, tasks: Dispatcher, job: TrainJob, run: RunFolder, on_event: Emit, stop: Callable[[], bool]
    ) -> launch.TrainOutcome:
        """Follow the training's task on the engine to its end, and return the result.

        Raises:
            Paused: it was stopped, and can be resumed.
            TrainingError and others: as the training ended.
        """
        tasks.submit([self._task(job, run)])  # unless it was submitted ahead
        result = tasks.wait(self._step.key, on_event=on_event, stop=stop)
        self._clock.add(result.seconds)
        outcome = launch.finished_outcome(job, run.path) if result.ending == "done" else None
        if outcome is None:
            raise Paused("paused at an epoch boundary: the same command goes on from here")
        return outcome

    def _compare_with_expected(self, epoch: EpochRow) -> None:
        for row in expected_rows(self._stage, [epoch]):
            if row.said == "not reached":
                continue
            self._notify({"kind": "expected", "row": row.to_body()})
            if row.actual is not None and row.said != "as expected":
                bounds = f"{row.low:g} to {row.high:g}"
                self._warn(f"epoch {row.epoch}: {row.metric} {row.actual:.4g} is {row.said} the expected {bounds}")

    def _notify(self, body: Body) -> None:
        self._context.notify(Notice("event", self._step.name, body))

    def _warn(self, message: str) -> None:
        self._context.notify(warning(self._step.name, message))

    def _recorded_result(self) -> TrainResult | None:
        """Return the result of a finished run of this step in the ledger, if its weights are unchanged.

        It exists after a kill between the run's entry and the step's: nothing has to be trained again.
        """
        folder = self._context.workspace.folder
        result = self._context.runs.result(self._step.key)
        if result is None or damage(self._step, result):
            return None
        run = RunFolder(folder / result.run)
        if run.read().state != "finished":
            _mark_finished(run, result)
            self._context.runs.write_report()
        return result

    def _continue_stopped_run(self, run: RunFolder, job: TrainJob) -> None:
        """Continue, in a new run, one that a decision stopped and that differs only in its decision points.

        The old run stays unchanged and on record; its state is copied. This is not done if the new decision points
        would have stopped it earlier, as its weights were trained for more epochs.
        """
        if not any(one.word == "STOPPED" for one in self._context.runs.recorded()):
            return
        wanted = _without_decisions(self._step.inputs, [need.key for need in self._step.needs])
        for entry in reversed(self._context.ledger.records(StepEntry)):
            if entry.kind != "train" or _without_decisions(entry.inputs, entry.needs.values()) != wanted:
                continue
            result = TrainResult.from_body(entry.result)
            if result.word != "STOPPED":
                continue
            old = RunFolder(self._context.workspace.folder / result.run)
            judged = judge(job.decide, [EpochReport.from_body(body) for body in result.curve])
            if next(sidecar.generations(old.results), None) is None or (judged and judged[-1].said == "stop"):
                continue
            seconds = epoch_seconds(result.epoch_rows)
            run.update(facts={"continues": {"run": old.name, "epochs": result.epochs, "seconds": seconds}})
            shutil.copyfile(old.path / "events.jsonl", run.path / "events.jsonl")
            shutil.copytree(old.results / "weights", run.results / "weights", dirs_exist_ok=True)
            part = run.results / "state.part"
            shutil.rmtree(part, ignore_errors=True)  # of a run that was killed here
            shutil.copytree(old.results / "state", part)
            part.rename(run.results / "state")  # last, so that an interrupted copy is not used
            self._warn(f"the decisions changed: it goes on from {old.name}, which they had stopped")
            return

    def _finish(self, run: RunFolder, job: TrainJob, outcome: launch.TrainOutcome, seconds: float) -> TrainResult:
        """Keep the weights, and record the run and the decisions about it.

        Raises:
            DataError: images were removed or changed during the training.
        """
        folder, ledger, record = self._context.workspace.folder, self._context.ledger, run.read()
        self._require_unchanged_images(run)
        best = _link_weights(outcome.best, run.results / "best.pt")
        last = _link_weights(outcome.last, run.results / "last.pt")
        judged = judge(job.decide, outcome.reports, ended=True)
        rows = [EpochRow(report.to_body()) for report in outcome.reports]
        result = TrainResult(
            run=run.path.name,
            arm=record.arm,
            stage=record.stage,
            seed=record.seed,
            best=best.relative_to(folder).as_posix(),
            last=last.relative_to(folder).as_posix(),
            sha256=file_hash(best),
            last_sha256=file_hash(last),
            epochs=outcome.epochs,
            curve=tuple(dict(row.body) for row in rows),
            facts=relative_within(
                {**{name: record.facts[name] for name in ("continues",) if name in record.facts}, **outcome.facts},
                self._context.study.folder,
            ),
            wall_seconds=seconds,
            word=end_word(judged),
            decisions=tuple(DecisionRow(**one.to_dict()) for one in judged),
            expected=tuple(expected_rows(self._stage, rows)),
            doctor=tuple(self._diagnose(run, record)),
        )
        known = ledger.records(DecisionEntry) if result.decisions else ()
        for row in result.decisions:
            decision = DecisionEntry(step=self._step.key, run=result.run, arm=result.arm, **row.to_body())
            if decision not in known:  # a killed attempt may have recorded it already
                ledger.add(decision)
        ledger.add(RunEntry(self._step.key, result))
        _mark_finished(run, result)  # after its entry, so that a run marked finished is always in the ledger
        self._context.runs.write_report()
        return result

    def _diagnose(self, run: RunFolder, record: RunRecord) -> list[FindingRow]:
        """Return the doctor's findings on a run, compared with those of other seeds; empty without a curve."""
        folder = self._context.workspace.folder
        alike = [
            folder / one.name
            for one in self._context.runs.recorded()
            if one.stage == (record.arm, record.stage) and one.seed != record.seed
        ]
        there = [path for path in alike if (path / "results" / "results.csv").is_file()]
        try:
            found = diagnose([*there, run.path])[-1].findings
        except DataError:
            return []
        prefix = f"{folder}/"  # the ledger contains no absolute paths
        return [FindingRow.from_body(_without_prefix(prefix, finding.to_dict())) for finding in found]

    def _require_unchanged_images(self, run: RunFolder) -> None:
        """Refuse a run whose images were removed or changed meanwhile.

        With removed images the run can be resumed once they are back; a run with changed images cannot.
        """
        datasets = self._context.datasets
        for name in dict.fromkeys((*self._stage.sources, self._stage.data)):
            try:
                datasets.require_unchanged_images(name)
            except DataError as error:
                if all(image.path.is_file() for image in datasets.dataset(name).images):
                    run.update(key=f"{run.read().key} on changed images")
                run.fail(error)
                raise


def _mark_finished(run: RunFolder, result: TrainResult) -> None:
    run.finish(result.epoch_rows, result.training_facts, weights=result.sha256)


def _stopped_by_decision(job: TrainJob, run: RunFolder) -> launch.TrainOutcome | None:
    """Return the outcome of a run that a decision stopped, in this attempt or in a killed one; None: none did."""
    epochs = [event for event in read_events(run.path / "events.jsonl") if isinstance(event, EpochReport)]
    judged = judge(job.decide, epochs)
    return launch.stopped_outcome(job, run.path) if judged and judged[-1].said == "stop" else None


def _without_decisions(inputs: Body, needs: Iterable[str]) -> str:
    kept = {name: value for name, value in inputs.items() if name not in ("decide", "early_kill")}
    return json.dumps([kept, list(needs)], sort_keys=True)


def _without_prefix(prefix: str, value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _without_prefix(prefix, item) for name, item in value.items()}
    if isinstance(value, list):
        return [_without_prefix(prefix, item) for item in value]
    return value.replace(prefix, "") if isinstance(value, str) else value


def _link_weights(source: Path, target: Path) -> Path:
    """Link finished weights to `target`, or copy them where hard links are not supported.

    A target that is right already stays as it is: a task of the next stage may read it.
    """
    if target.is_file() and (target.samefile(source) or file_hash(target) == file_hash(source)):
        return target
    target.unlink(missing_ok=True)
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
    return target

"""The training steps: one executed stage for one seed, in a run folder of its own."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from liftgate.backends import sidecar
from liftgate.backends.base import Paused, TrainJob
from liftgate.backends.events import EpochReport, Event
from liftgate.diagnosis import diagnose
from liftgate.diagnosis.live import LiveDiagnosis
from liftgate.errors import DataError, Stopped, TrainingError
from liftgate.hashing import file_hash
from liftgate.ledger.preflight import preflight
from liftgate.ledger.runs import RunFolder, RunRecord, write_report
from liftgate.pipeline.context import Context, Notice
from liftgate.pipeline.flow_state import expected, points, word_of
from liftgate.pipeline.planning.auto_batch import recipe_of
from liftgate.pipeline.spending import Ceiling, epoch_seconds
from liftgate.pipeline.step import Result, Step, spoilt
from liftgate.study.records import Arm, Stage, Study
from liftgate.training import launch
from liftgate.training.command import training_command
from liftgate.training.events import read_events
from liftgate.training.start_weights import resolve_weights
from liftgate.training.stopping_rules import judge
from liftgate.training.tracking import Tracked


def train_steps(context: Context, arm: Arm, seed: int) -> list[Step]:
    """Return one step per stage of an arm, chained by weights."""
    steps: list[Step] = []
    for number in range(1, len(arm.stages) + 1):
        steps.append(_stage_step(context, arm, number, seed, steps[-1] if steps else None))
    return steps


def _stage_step(context: Context, arm: Arm, number: int, seed: int, previous: Step | None) -> Step:
    study, stage = context.study, arm.stages[number - 1]
    name = f"train {arm.name}" + (f" stage {number}" if len(arm.stages) > 1 else "") + f" seed {seed}"
    said_at = study.place("arms", arm.name, number - 1, "weights")
    given = None if stage.weights is None else resolve_weights(stage.weights, study.folder, said_at)
    inputs = {
        "weights": None if given is None else given.identity,
        "data": context.datasets.training_hash(stage),
        "recipe": recipe_of(context.ledger, stage),
        "seed": seed,
        "task": study.task,
        "backend": study.backend,
        "device": study.device,
        **_said_only_when_asked(study, stage),
    }
    needs = (previous,) if given is None and previous is not None else ()

    def work(results: tuple[Result, ...]) -> Result:
        weights = given.path if given is not None else str(context.workspace.folder / results[0][stage.weights_from])
        return _train(context, step, weights, arm, number, seed)

    def files(result: Result) -> dict[Path, str | None]:
        kept: dict[Path, str | None] = {context.workspace.folder / result["best"]: result["sha256"]}
        if _goes_on_from_last(arm, number):
            kept[context.workspace.folder / result["last"]] = result.get("last_sha256")
        return kept

    step = Step(name, "train", inputs, work, needs, files, arm.name)
    return step


def _said_only_when_asked(study: Study, stage: Stage) -> dict[str, Any]:
    """What a run depends on beside the usual; the key of one that has none of it stays what it was."""
    asked: dict[str, Any] = {
        "select": stage.select,
        "decide": [asdict(point) for point in stage.decide],
        "early_kill": None if study.early_kill is None else asdict(study.early_kill),
    }
    if stage.weights is None and stage.weights_from != "best":
        asked["weights_from"] = stage.weights_from
    return {name: value for name, value in asked.items() if value}


def _goes_on_from_last(arm: Arm, number: int) -> bool:
    """Whether the stage after `number` starts from its last weights."""
    following = arm.stages[number : number + 1]
    return any(stage.weights is None and stage.weights_from == "last" for stage in following)


def _train(context: Context, step: Step, weights: str, arm: Arm, number: int, seed: int) -> Result:
    """Train, or go on with the unfinished run of the same step."""
    if (known := _on_record(context, step)) is not None:
        return known
    study, stage, workspace = context.study, arm.stages[number - 1], context.workspace
    unfinished = RunFolder.unfinished(workspace.folder, step.key)
    ceiling = Ceiling.of(context, unfinished)
    run = unfinished or RunFolder.create(
        workspace.folder, step.name.removeprefix("train "), step.key, arm=arm.name, stage=number, seed=seed
    )
    job = TrainJob(
        weights=weights,
        data=context.datasets.training_tree(stage),
        recipe=step.inputs["recipe"],
        seed=seed,
        task=study.task,
        out=run.results,
        device=study.device,
        select=stage.select,
        decide=tuple(points(study, context.ledger, arm, number, step.inputs["data"])),
    )
    run.write_preflight(
        preflight(study.folder, study=study.name, arm=arm.name, stage=number, step=step.key, **step.inputs)
    )
    run.write_command(training_command(job))
    if unfinished is None:
        _take_over(context, step, run, job)

    begun, before = time.monotonic(), run.read().seconds or 0.0

    def wall() -> float:
        return round(before + time.monotonic() - begun, 3)

    def reason() -> str:
        return context.stop_reason() or ceiling.reason()

    def warn(message: str) -> None:
        context.notify(Notice("event", step.name, {"kind": "warning", "message": message}))

    known = {"arm": arm.name, "stage": number, "seed": seed, "step": step.key, **step.inputs}
    tracked = Tracked(study.log, study=study.name, folder=run.path, known=known, complain=warn)

    def on_event(event: Event) -> None:
        body = event.to_body()
        if isinstance(event, EpochReport):
            ceiling.record(body)
            tracked(event)
            for row in (one for one in expected(stage, [body]) if one["said"] != "not reached"):
                context.notify(Notice("event", step.name, {"kind": "expected", "row": row}))
                if row["said"] != "as expected":
                    message = "epoch {epoch}: {metric} {actual:.4g} is {said} the expected {low:g} to {high:g}"
                    warn(message.format(**row))
        context.notify(Notice("event", step.name, {"kind": event.kind, **body}))

    try:
        with tracked:
            outcome = _decided(job, run) or launch.train(
                job,
                backend=study.backend,
                folder=run.path,
                on_event=LiveDiagnosis(job.out, on_event),
                stop=lambda: bool(reason()),
            )
    except Paused as pause:
        if (stopped := _decided(job, run)) is not None:
            return _finish(context, step, run, job, stopped, wall())
        run.update(state="paused", seconds=wall())
        raise Stopped(
            reason() or str(pause), where=run.path, hint="the same command goes on from the last finished epoch"
        ) from None
    except Stopped:  # at once, in the middle of an epoch
        run.update(state="paused", seconds=wall())
        raise
    except TrainingError as error:
        run.update(seconds=wall())
        run.fail(error)
        raise
    finally:
        write_report(workspace.folder)
    return _finish(context, step, run, job, outcome, wall())


def _on_record(context: Context, step: Step) -> Result | None:
    """Return the run of this very step that the ledger holds as finished, when its weights are what they were.

    A kill between the run's entry and the step's leaves that: nothing has to be trained again.
    """
    for entry in reversed(context.ledger.entries("run")):
        if entry.body["step"] == step.key:
            result = {name: value for name, value in entry.body.items() if name != "step"}
            if spoilt(step, result):
                return None
            run = RunFolder(context.workspace.folder / result["run"])
            if run.read().state != "finished":
                run.finish(result)
                write_report(context.workspace.folder)
            return result
    return None


def _take_over(context: Context, step: Step, run: RunFolder, job: TrainJob) -> None:
    """Let a new run go on from one that a decision stopped and that differs from it in nothing but what may stop it.

    The old run stays as it was, and on record; a copy of its state is taken. Not when the new decisions would have
    stopped it earlier: its weights have seen more epochs than that.
    """
    for entry in reversed(context.ledger.entries("step")):
        body, result = entry.body, entry.body["result"]
        if body["kind"] != "train" or result.get("word") != "STOPPED":
            continue
        if _but_for_decisions(body["inputs"], body["needs"].values()) != _but_for_decisions(
            step.inputs, [need.key for need in step.needs]
        ):
            continue
        old = RunFolder(context.workspace.folder / result["run"])
        judged = judge(job.decide, [EpochReport.from_body(body) for body in result["curve"]])
        if next(sidecar.generations(old.results), None) is None or (judged and judged[-1].said == "stop"):
            continue
        seconds = epoch_seconds(result["curve"])
        run.update(facts={"continues": {"run": old.name, "epochs": result["epochs"], "seconds": seconds}})
        shutil.copyfile(old.path / "events.jsonl", run.path / "events.jsonl")
        shutil.copytree(old.results / "weights", run.results / "weights", dirs_exist_ok=True)
        shutil.copytree(old.results / "state", run.results / "state.part")
        (run.results / "state.part").rename(run.results / "state")  # last: a copy cut short is begun anew
        message = f"the decisions changed: it goes on from {old.name}, which they had stopped"
        context.notify(Notice("event", step.name, {"kind": "warning", "message": message}))
        return


def _but_for_decisions(inputs: Mapping[str, Any], needs: Iterable[str]) -> str:
    kept = {name: value for name, value in inputs.items() if name not in ("decide", "early_kill")}
    return json.dumps([kept, list(needs)], sort_keys=True)


def _decided(job: TrainJob, run: RunFolder) -> launch.TrainOutcome | None:
    """Return what a run has left that a decision stopped, in this attempt or just before an earlier one was killed."""
    judged = judge(
        job.decide, [event for event in read_events(run.path / "events.jsonl") if isinstance(event, EpochReport)]
    )
    return launch.stopped_outcome(job, run.path) if judged and judged[-1].said == "stop" else None


def _finish(
    context: Context, step: Step, run: RunFolder, job: TrainJob, outcome: launch.TrainOutcome, seconds: float
) -> Result:
    """Keep the weights, and put the run, and what was decided about it, on record.

    Raises:
        DataError: images went or changed while it trained.
    """
    workspace, record = context.workspace, run.read()
    stage = context.study.arm(record.arm).stages[record.stage - 1]
    _demand_unchanged(context, stage, run)
    best = _keep(outcome.best, run.results / "best.pt")
    last = _keep(outcome.last, run.results / "last.pt")
    judged = judge(job.decide, outcome.reports, ended=True)
    curve = [report.to_body() for report in outcome.reports]
    result = {
        "run": run.path.name,
        "arm": record.arm,
        "stage": record.stage,
        "seed": record.seed,
        "best": best.relative_to(workspace.folder).as_posix(),
        "last": last.relative_to(workspace.folder).as_posix(),
        "sha256": file_hash(best),
        "last_sha256": file_hash(last),
        "epochs": outcome.epochs,
        "curve": curve,
        "facts": {**{name: record.facts[name] for name in ("continues",) if name in record.facts}, **outcome.facts},
        "wall_seconds": seconds,
        "word": word_of(judged),
        "decisions": [one.to_dict() for one in judged],
        "expected": expected(stage, curve),
        "doctor": _diagnosed(context, run, record),
    }
    said = [entry.body for entry in context.ledger.entries("decision")]
    for one in judged:
        decision = {"step": step.key, "run": run.path.name, "arm": record.arm, **one.to_dict()}
        if decision not in said:  # an attempt that was killed here has said it
            context.ledger.append("decision", decision)
    context.ledger.append("run", {"step": step.key, **result})
    run.finish(result)  # after its entry: a run that calls itself finished is not looked for again
    write_report(workspace.folder)
    return result


def _diagnosed(context: Context, run: RunFolder, record: RunRecord) -> list[dict[str, Any]]:
    """Return what the doctor says of a run, beside those of other seeds; nothing where its backend writes no curve."""
    alike = [
        context.workspace.folder / entry.body["run"]
        for entry in context.ledger.entries("run")
        if (entry.body["arm"], entry.body["stage"]) == (record.arm, record.stage) and entry.body["seed"] != record.seed
    ]
    there = [path for path in alike if (path / "results" / "results.csv").is_file()]
    try:
        found = diagnose([*there, run.path])[-1].findings
    except DataError:
        return []
    here = f"{context.workspace.folder}/"  # what the ledger keeps names no place of this machine
    return [_without(here, finding.to_dict()) for finding in found]


def _without(here: str, value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _without(here, item) for name, item in value.items()}
    if isinstance(value, list):
        return [_without(here, item) for item in value]
    return value.replace(here, "") if isinstance(value, str) else value


def _demand_unchanged(context: Context, stage: Stage, run: RunFolder) -> None:
    """Refuse a run whose images went or changed meanwhile: it would stand in the ledger as trained on what was read.

    Images that are gone may come back, and the run counts then. One that has learned from others never does.
    """
    for name in dict.fromkeys((*stage.sources, stage.data)):
        try:
            context.datasets.demand_unchanged(name)
        except DataError as error:
            if all(image.path.is_file() for image in context.datasets.dataset(name).images):
                run.update(key=f"{run.read().key} on changed images")
            run.fail(error)
            raise


def _keep(source: Path, target: Path) -> Path:
    """Put finished weights where people look for them, without a second copy on disk where links work."""
    target.unlink(missing_ok=True)
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
    return target

"""The predicting step: an arm's model over a split, through the validator path, stored as COCO results."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from liftgate.backends.base import PredictJob
from liftgate.backends.events import Event
from liftgate.data.core.predictions import Predictions
from liftgate.data.formats import coco
from liftgate.hashing import short
from liftgate.pipeline.context import Context, Notice
from liftgate.pipeline.step import Result, Step
from liftgate.pipeline.steps.training import train_steps
from liftgate.study.records import Arm, Gate, Study
from liftgate.training import launch
from liftgate.training.start_weights import resolve_weights

DEFAULT_IMGSZ = 640


def predict_step(
    context: Context, arm: Arm, seed: int, gate: Gate, *, settings: Mapping[str, Any] | None = None
) -> Step:
    """Return the step that runs an arm's model over the split of a gate through the validator path.

    `settings`: those of another arm, where two models are to be measured alike.
    """
    study, workspace = context.study, context.workspace
    name, _, split = gate.on.rpartition(".")
    trained = train_steps(context, arm, seed)[-1] if arm.stages else None
    said_at = study.place("arms", arm.name, "weights")
    given = None if arm.weights is None else resolve_weights(arm.weights, study.folder, said_at)
    settings = prediction_settings(study, gate, arm) if settings is None else settings
    inputs = {
        "weights": None if given is None else given.identity,
        "data": context.datasets.fingerprint(name),
        "split": split,
        "settings": dict(settings),
        "backend": study.backend,
        "device": study.device,
    }

    def work(results: tuple[Result, ...]) -> Result:
        weights = str(workspace.folder / results[0]["best"]) if given is None else given.path
        job = PredictJob(
            weights=weights,
            data=context.datasets.tree(name),
            split=split,
            task=study.task,
            out=workspace.predictions / f"{arm.name}-{split}-{short(step.key)}.json",
            settings=settings,
            device=study.device,
        )

        def on_event(event: Event) -> None:
            context.notify(Notice("event", step.name, {"kind": event.kind, **event.to_body()}))

        used = launch.predict(
            job, backend=study.backend, folder=workspace.folder / "work", on_event=on_event, stop=context.at_once
        )
        context.datasets.demand_unchanged(name)
        predictions = coco.read_predictions(job.out, context.datasets.truth(gate.on))
        return {
            "arm": arm.name,
            "seed": seed,
            "on": gate.on,
            "file": job.out.relative_to(workspace.folder).as_posix(),
            "sha256": predictions.content_hash(),
            "settings": dict(used),
            "n_detections": len(predictions),
        }

    label = f"predict {arm.name}" + (f" seed {seed}" if arm.stages else "") + f" on {gate.on}"
    needs = () if trained is None else (trained,)
    step = Step(label, "predict", inputs, work, needs, lambda result: {workspace.folder / result["file"]: None})
    return step


def read_predicted(context: Context, on: str, result: Result) -> Predictions:
    """Return the detections that a predict step left."""
    return coco.read_recorded(context.workspace.folder / result["file"], context.datasets.truth(on), result["sha256"])


def prediction_settings(study: Study, gate: Gate, arm: Arm) -> dict[str, Any]:
    """Settings of an arm's predictions: the study's `evaluation:`, with the image size that training used.

    An arm without stages has no size of its own and takes the other arm's. Two arms trained at different sizes are each
    measured at their own; the comparison then lists the difference.
    """
    settings = dict(study.evaluation)
    if "imgsz" not in settings:
        names = [arm.name, gate.treatment, gate.control]
        sizes = (_trained_size(study.arm(name)) for name in names if name is not None)
        settings["imgsz"] = next((size for size in sizes if size is not None), DEFAULT_IMGSZ)
    return settings


def _trained_size(arm: Arm) -> int | None:
    return arm.stages[-1].recipe.get("imgsz", DEFAULT_IMGSZ) if arm.stages else None

"""Rules about trainers: their licence against the declared use, and what LibreYOLO does without a word."""

from __future__ import annotations

from collections.abc import Iterator

from liftgate.checks.finding import Finding
from liftgate.checks.rule import rule
from liftgate.checks.subject import StageInArm, Subject
from liftgate.checks.ultralytics.arguments import numeric_argument
from liftgate.documents import DocumentError, load_yaml
from liftgate.study.weights import find, weights_licence

_NO_AUGMENTATION_EPOCHS = {"yolox": 15, "dfine": 4}
"""LibreYOLO's own last epochs without strong augmentation, by family"""
_EPOCHS = 300
_IMGSZ = 640
_QUERIES = 300
_STRIDES = {"n": (16, 32)}
"""D-FINE's levels by size; others have three"""


@rule("licence.trainer", "warning")
def trainer(subject: Subject) -> Iterator[Finding]:
    """A trainer whose licence asks for something that the declared use hardly gives.

    Ultralytics publishes under AGPL-3.0 and holds that the licence covers the weights that it trained: who ships them,
    or serves them over a network, offers all of the source, or buys Ultralytics' commercial licence. A study that
    declares `use: commercial` and trains with it says two things that need a decision, and the better place for it is
    before the model wins. LibreYOLO's MIT asks for a notice. This is a reading of names, not legal advice.

    Fix: `backend: libreyolo` for the arm that ships, or ignore this finding with the licence that you hold as its
    reason.
    """
    study = subject.study
    for arm in study.arms if study and study.use == "commercial" else ():
        licence = weights_licence(study, arm) if study else None
        if licence and "AGPL" in licence:
            message = f"the study declares `use: commercial`, and this arm's weights are {licence}"
            backend = study.backend_of(arm) if study else ""
            yield trainer.finding(f"arm {arm.name}", message, licence=licence, backend=backend)


@rule("recipe.augmentation_off", "warning")
def augmentation_off(subject: Subject) -> Iterator[Finding]:
    """Strong augmentation that is never on: the run is no longer than its last epochs without it.

    LibreYOLO turns mosaic and mixup off for the last 15 epochs of YOLOX (4 of D-FINE), whatever the length of the run,
    and its log says so in one line. A run of 15 epochs or fewer never has them: a short trial and the long run after it
    are different recipes, and an arm of another trainer beside it has its own augmentation on.

    Fix: set `no_aug_epochs` to a tenth of the epochs; or `mosaic_prob: 0` and `mixup_prob: 0`, and know it.
    """
    for place, family, _ in _described(subject):
        recipe = place.stage.recipe
        epochs = numeric_argument(recipe, "epochs", _EPOCHS)
        last = numeric_argument(recipe, "no_aug_epochs", _NO_AUGMENTATION_EPOCHS.get(family, 0))
        wanted = any(numeric_argument(recipe, name, 1.0) > 0 for name in ("mosaic_prob", "mixup_prob"))
        if family == "yolox" and last >= epochs and wanted:
            own = "" if "no_aug_epochs" in recipe else " (the default)"
            message = f"no_aug_epochs {last:g}{own} covers the whole run of {epochs:g} epochs: no mosaic, no mixup"
            yield augmentation_off.finding(place.where, message, epochs=epochs, no_aug_epochs=last)


@rule("recipe.queries", "error")
def queries(subject: Subject) -> Iterator[Finding]:
    """An image size at which a transformer has fewer places in its feature maps than queries to choose from them.

    D-FINE picks its 300 queries among the cells of its feature maps (strides 8, 16 and 32; of size n 16 and 32). On a
    small image there are fewer, and training ends with `selected index k out of range` in the first batch.

    Fix: a larger `imgsz` (the message says from which on), or a model without queries, such as yolox.
    """
    for place, family, size in _described(subject):
        imgsz = place.stage.recipe.get("imgsz", _IMGSZ)
        if family != "dfine" or not isinstance(imgsz, int):
            continue
        cells = _cells(size, imgsz)
        if cells < _QUERIES:
            least = next(side for side in range(32, 1024, 32) if _cells(size, side) >= _QUERIES)
            message = f"imgsz {imgsz} has {cells} cells for {_QUERIES} queries of dfine-{size}; {least} has enough"
            yield queries.finding(place.at("recipe", "imgsz"), message, imgsz=imgsz, cells=cells, least=least)


def _cells(size: str, imgsz: int) -> int:
    return sum((imgsz // stride) ** 2 for stride in _STRIDES.get(size, (8, 16, 32)))


def _described(subject: Subject) -> Iterator[tuple[StageInArm, str, str]]:
    """Yield the stages that LibreYOLO trains, with family and size of the model; those of a checkpoint by its name."""
    for place in subject.stages:
        if place.backend != "libreyolo":
            continue
        stages = place.arm.stages[: place.number + 1]
        weights = next((stage.weights for stage in reversed(stages) if stage.weights), "")
        path = find(weights, subject.study_folder)
        if path is not None and path.suffix in (".yaml", ".yml"):
            try:
                family, _, size = str(load_yaml(path)["libreyolo"]).partition("-")
            except (OSError, DocumentError, KeyError, TypeError):
                continue  # the trainer refuses it
            yield place, family, size
        else:
            name = weights.lower()
            family = next((one for one in _NO_AUGMENTATION_EPOCHS if one in name), "")
            yield place, family, name.partition(family)[2].lstrip("-_")[:1] if family else ""

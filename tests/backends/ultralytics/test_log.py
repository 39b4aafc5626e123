"""What Ultralytics only says in its log reaches the record."""

from __future__ import annotations

import errno
import logging

import pytest

from liftgate.backends.events import Event
from liftgate.backends.ultralytics.epoch import metric_name
from liftgate.backends.ultralytics.log import LogListener, explain_error
from liftgate.errors import OutOfMemory, TrainingError

log = logging.getLogger("ultralytics")


def test_warnings_become_events_once_each_and_without_colours() -> None:
    events: list[Event] = []
    with LogListener(events.append) as listener:
        log.warning("\x1b[33m\x1b[1mOptimizer\x1b[0m stripped ⚠️")
        log.warning("\x1b[33m\x1b[1mOptimizer\x1b[0m stripped ⚠️")
        log.info("chatter")
    log.warning("after the end")
    assert [event.to_body()["message"] for event in events] == ["Optimizer stripped"]
    assert listener.messages == ["Optimizer stripped"]


def test_a_batch_of_boxes_that_was_given_up_is_noticed() -> None:
    with LogListener(lambda event: None) as listener:
        assert not listener.lost_boxes
        log.warning("NMS time limit 2.800s exceeded")
    assert listener.lost_boxes


def test_running_out_of_memory_is_an_error_of_its_own_with_a_way_out() -> None:
    error = explain_error(RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB"))
    assert isinstance(error, OutOfMemory)
    assert error.hint is not None and "batch" in error.hint
    assert not isinstance(explain_error(ValueError("x")), OutOfMemory)


def test_a_data_set_that_vanished_in_mid_run_is_asked_about() -> None:
    error = explain_error(FileNotFoundError("Image Not Found /data/a.jpg"))
    assert isinstance(error, TrainingError)
    assert error.hint is not None and "moved or deleted" in error.hint


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        OSError(errno.EDQUOT, "Disk quota exceeded"),
        RuntimeError("[enforce fail at inline_container.cc:671] . unexpected pos 2254016 vs 2253912"),
        RuntimeError("PytorchStreamWriter failed writing file data/4: file write failed"),
    ],
)
def test_a_full_disk_is_called_one_whatever_the_trainer_calls_it(error: Exception) -> None:
    said = explain_error(error)
    assert "the disk is full" in str(said) and "MB free" in str(said)
    assert "the same command goes on" in str(said.hint)


def test_a_full_disk_under_an_export_is_not_told_as_one_of_a_training() -> None:
    said = explain_error(RuntimeError("basic_ios::clear: iostream error"), exporting=True)
    assert "the export could not be written: the disk is full" in str(said)
    assert "epoch" not in str(said) and "TMPDIR" in str(said.hint)


def test_box_metrics_have_metric_names_and_keypoint_metrics_say_so() -> None:
    assert [metric_name(f"metrics/{name}") for name in ("mAP50-95(B)", "precision(B)", "mAP50(P)")] == [
        "mAP50-95",
        "precision",
        "pose_mAP50",
    ]

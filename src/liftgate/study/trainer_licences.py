"""Licences of the trainers, and what they mean for the weights of an arm."""

from __future__ import annotations

from liftgate.study.records import Arm, Study

TRAINER_LICENCES = {"ultralytics": "AGPL-3.0", "libreyolo": "MIT"}
"""Backend → licence of its trainer, which its authors claim for, or leave to, what it trained"""


def weights_licence(study: Study, arm: Arm) -> str | None:
    """Return the licence of an arm's weights as its trainer's authors see it; None: unknown, as of your own backend.

    Start weights may carry a licence of their own: nothing here knows it.
    """
    return TRAINER_LICENCES.get(study.backend_of(arm))


def licence_note(study: Study, arm: Arm) -> str | None:
    """Return `this arm's weights are MIT`; None: unknown."""
    licence = weights_licence(study, arm)
    return None if licence is None else f"this arm's weights are {licence}"

"""What is known of one model file before it is used: what its contract says, what it leaves open, why it cannot run."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CheckedModel:
    """One export or checkpoint."""

    name: str
    """Path, as it was given"""
    unusable: str = ""
    """Why it cannot be run; empty: it can"""
    hint: str | None = None
    """What a person can do about that"""
    missing: tuple[str, ...] = ()
    """What its files do not say, and what is taken instead"""
    ignored: tuple[str, ...] = ()
    """What its files ask for and Liftgate does not do"""
    limits: tuple[str, ...] = ()
    """What its numbers are limited by, such as suppression inside"""

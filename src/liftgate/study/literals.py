"""Literal types of the values that a study and its verdicts are written in."""

from __future__ import annotations

from typing import Literal

Task = Literal["detect", "pose"]
Rule = Literal["interval", "point"]
Use = Literal["research", "commercial"]
EngineName = Literal["local", "slurm", "ray"]
ClaimWord = Literal["better", "equal"]
"""Claim of a comparison; `equal` means within ± margin, by two one-sided tests"""
VerdictWord = Literal["PASS", "MARGINAL", "FAIL"]
ArmWord = Literal["FINISHED", "CAREFUL", "STOPPED"]
"""How the training of an arm ended"""
WorthWord = Literal["MORE", "UNSURE", "ENOUGH"]
"""Whether more data would bring at least the margin"""

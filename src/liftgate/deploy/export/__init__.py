"""Exports of a model: their cards, their files, and what a format costs in accuracy."""

"""Models in use: exports with their cards, a runtime without torch, and models behind an HTTP API."""

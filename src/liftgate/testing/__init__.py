"""Contract tests that a new backend or format passes, and a small data factory."""

"""Run one training (a stage with one seed) or prediction in a child process: launch, worker, stopping rules."""

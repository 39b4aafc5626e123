"""Training of a **run** (one stage, one seed, its folder) in a child process: launch, worker, stopping rules."""

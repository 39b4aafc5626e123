"""The training room. A **run** is one executed stage for one seed, with its folder; it works in a child process."""

"""Statistics: pure functions on arrays, without input or output; randomness comes from a Generator argument."""

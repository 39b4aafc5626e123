"""The numbers room: pure functions on arrays. No paths, no databases, no clocks; randomness enters as a Generator."""

"""**Provenance**: where a dataset comes from, what may be done with it, and proof that it has not changed.

`licences` compares licences, `declared_terms` combines what the user, a card and the source say, `card` writes and
reads the README.md, `snapshot` hashes every file and verifies it later.
"""

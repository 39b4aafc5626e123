"""**Provenance**: origin and licence of a dataset, and proof that it has not changed.

`licences` compares licences, `declared_terms` combines the terms by the user, a card and the source, `card` writes and
reads the README.md, `snapshot` hashes every file and verifies it later.
"""

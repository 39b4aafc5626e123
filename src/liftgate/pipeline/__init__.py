"""The pipeline room. A **step** is planned before it works, cached by content, resumable, and explains itself."""

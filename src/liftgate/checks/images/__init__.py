"""Read image files once for all rules, and find copies, near-duplicates and consecutive video frames."""

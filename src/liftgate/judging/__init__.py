"""Judge two models only where they differ: pair detections, draw questions, read answers, estimate the difference."""

"""Training and prediction with LibreYOLO (MIT), in the child process alone."""

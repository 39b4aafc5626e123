"""Readers and writers, one file per format. Each turns files into a Dataset, or back."""

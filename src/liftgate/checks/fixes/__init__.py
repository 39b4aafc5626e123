"""Write corrected copies of data sets and studies; the originals are never changed."""

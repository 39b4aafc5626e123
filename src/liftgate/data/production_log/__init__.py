"""**Production log**: what a served model found in every image, kept for sampling, drift and shadow tests.

records.py      one image of the log
live.py         SQLite: rows are acknowledged when they are committed
compaction.py   finished hours become Parquet files; old ones are deleted
log_rows.py     rows by time, camera or image, wherever they are by now
quality.py      red, yellow or green, by rules
"""

"""**Production**: whether what a served model sees today is what it was trained on, or what it saw last month.

day_table.py     one value a day and camera from a log or from predictions
appearance.py    what images look like, and which are unlike all others
drift.py         the statement: by statistic and camera, with one rule for false alarms
"""

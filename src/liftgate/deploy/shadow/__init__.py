"""**Shadow**: a challenger sees the champion's requests beside it, and what they disagree about is counted.

request.py    what a shadow test is: its folder below a production log, its request and its state
pairs.py      what both found in an image, matched; stored and read as minutes
settle.py     differ at times, differ on average: the statements, which may be looked at at any time
frames.py     what the server and the challenger's process say to each other
worker.py     the challenger, in a process of its own
feeder.py     in the server: hands frames over without waiting, counts what is shed, ends a bad challenger
report.py     the page
"""

"""**Bench**: time, memory and energy of models, measured side by side on this machine.

records.py   what was measured
ratios.py    ratios of two models from blocks, and whether they count
engine.py    a model in a process of its own, and the requests it is given
worker.py    the child process around an engine
contender.py a worker as its parent sees it
rounds.py    who is measured when: in turns, in random order, with the first model twice
energy.py    the processor's energy meter, where it can be read
"""

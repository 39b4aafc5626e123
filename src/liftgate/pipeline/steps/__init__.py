"""Steps: one class for each kind of step, with its inputs and its work.

checking.py    findings of the study
probing.py     whether the start weights can overfit a few images
training.py    one stage with one seed; stage_run.py one attempt at it; stopping.py what may stop it
predicting.py  detections of an arm on a split
measuring.py   evaluations and the verdict of a gate; thresholds.py of image-level gates; retention.py on old data
speed.py       time per image of an arm's model, where a gate asks for it
recipe.py      a stage's recipe with the automatic batch
smoke.py       one epoch in a temporary folder
"""

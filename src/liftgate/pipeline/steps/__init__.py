"""Steps: one class for each kind of step, with what its result depends on and the work.

checking.py    findings of the study
probing.py     can the start weights learn a few images by heart
training.py    one stage for one seed; stage_run.py one attempt at it; stopping.py what may stop it
predicting.py  detections of an arm on a split
measuring.py   evaluations and the verdict of a gate; thresholds.py of image-level gates; retention.py on old data
recipe.py      a stage's recipe with the settled batch
smoke.py       one epoch in a folder that vanishes
"""

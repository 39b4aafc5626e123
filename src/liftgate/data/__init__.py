"""The data room. A **dataset** is images and labels in one place, with class names, origin, licence and groups.

Whatever the files looked like, inside Liftgate there is one `Dataset`: a tuple of images and one table of labels
(numpy columns, one row per object, boxes as xyxy pixels). Readers are in `formats/`; they never stop at a bad row:
they leave it out and say so in `Dataset.faults`, which the checks turn into findings.
"""

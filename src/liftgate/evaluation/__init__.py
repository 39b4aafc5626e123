"""The measuring room. An **evaluation** is metrics of predictions against truth; a **comparison** is the paired
difference of two evaluations on the same images; a **verdict** is what a gate says of either.
"""

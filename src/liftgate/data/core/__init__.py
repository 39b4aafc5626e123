"""The **dataset**, its parts and what identifies them: images, labels, keypoints, faults, predictions, counts, hashes.

Every other room of `liftgate.data` builds on these records; nothing here reads a label format.
"""

"""**Asking**: a model that answers over HTTP is shown the images of a truth set, and its answers become predictions.

mapping.py   how this API wants the image and where in its JSON the answers are
client.py    one image sent, one answer back: within a time, a size, and on the one host
pace.py      when the next question may be asked
saved.py     answers as they came, one file each, so that nothing is asked twice
ask.py       all images, with retries, as Predictions

It stands in deploy, beside serving, though it needs no more than data: what is asked is a deployed model.
"""

from liftgate.deploy.remote_predictions.api_mapping import ApiMapping, read_mapping
from liftgate.deploy.remote_predictions.predict import ApiPredictions, RequestPolicy, predict_api, predict_api_files

__all__ = ["ApiMapping", "ApiPredictions", "RequestPolicy", "predict_api", "predict_api_files", "read_mapping"]

"""Predictions of a model that answers over HTTP: every image of a data set is posted, the answers become Predictions.

api_mapping.py      how this API takes the image, and where in its JSON the answers are
sendable_images.py  which files may be sent: pictures in the data set's own folders
channel.py          requests and answers: within a time, a size, and on the one host
client.py           one image posted, as the mapping says
rate_limit.py       when the next request may start
secret_mask.py      keys are kept out of everything that is stored or shown
answer_cache.py     answers as they came, one file each, so that no image is sent twice
request_queue.py    all images, from several threads, with retries
predict.py          a whole data set, as Predictions
"""

from liftgate.deploy.remote_predictions.api_mapping import ApiMapping, read_mapping
from liftgate.deploy.remote_predictions.predict import (
    ApiEndpoint,
    ApiPredictions,
    predict_api,
    predict_api_files,
)
from liftgate.deploy.remote_predictions.request_queue import RequestPolicy

__all__ = [
    "ApiEndpoint",
    "ApiMapping",
    "ApiPredictions",
    "RequestPolicy",
    "predict_api",
    "predict_api_files",
    "read_mapping",
]

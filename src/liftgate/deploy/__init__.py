"""Models in use. So far: predictions of a model that is deployed behind an HTTP API."""

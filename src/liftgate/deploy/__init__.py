"""Work with deployed models: request predictions from a model behind an HTTP API."""

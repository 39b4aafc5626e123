"""**Remote** data: which hosts data may go to or come from, and Roboflow's REST API."""

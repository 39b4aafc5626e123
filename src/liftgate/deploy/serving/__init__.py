"""**Serving**: a model answers over HTTP, and is exchanged without a dropped request.

settings.py      limits and thresholds of a server
answers.py       what it answers, as records; the OpenAPI document is made from them
uploads.py       from the bytes of a request to images, within limits
champion.py      the model in use: loaded and warmed beside, then exchanged
client.py        for programs that ask: typed, with retries
whole_dataset.py the images of a data set through a server, as predictions of one version
log_keeper.py    a production log that is open
answer_log.py    answers kept in it
batching.py      a bounded queue, and the threads that detect
metrics.py       what Prometheus reads
json_lines.py    the log: one JSON object a line, never an image
app.py           the routes
server.py        put together: model, queue, counters, log
request_guard.py token, host, log and metrics around every request
openapi.py       the OpenAPI document
connections.py   time limits of connections, and the process: bind, serve, drain
"""

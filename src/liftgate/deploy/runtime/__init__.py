"""**Runtime**: run an exported model without torch, from image file to detections in the image's pixels.

images.py        decode an image file as the trainer's own loader does
letterbox.py     fit an image into the model's input, and find the way back
sessions.py      ONNX Runtime and OpenVINO behind one interface
litert.py        LiteRT files, whose boxes are shares of the input
suppression.py   from the model's output to chosen detections
predict.py       all of it over a data set: `Predictions`
"""

"""Frames: still images out of videos, at requested times.

A **source** is one video file, one segment of a rolling buffer, one live camera or one folder of images. A **request**
says which times are wanted of each. A **frame** is the image nearest to such a time, named by video, camera and its own
time stamp (PTS), never by a frame count: the same moment has the same name however the video was cut or read. Every
frame is in `frames.csv` with its SHA-256 and its group, so that a later split can keep what belongs together.

sources.py    what is there: files, folders, buffers, RTSP; camera, category and day out of names
select.py     so many videos of each category, camera or day
times.py      which times: a grid within a window
video.py      one open video: key frames, seeking, decoding
picking.py    nearest frames, and when to seek instead of decoding on
motion.py     the window around the most motion
writing.py    JPEG bytes, names, rows
journal.py    what is done already, so that a killed run goes on
extract.py    all of it, on all cores
live.py       frames from an RTSP camera
"""

from liftgate.data.video_frames.extract import extract
from liftgate.data.video_frames.live import record_camera
from liftgate.data.video_frames.records import Extraction, FrameRow, FrameSource, Request, Window
from liftgate.data.video_frames.select import Quota
from liftgate.data.video_frames.sources import NamingRules, find_sources

__all__ = [
    "Extraction",
    "FrameRow",
    "FrameSource",
    "NamingRules",
    "Quota",
    "Request",
    "Window",
    "extract",
    "find_sources",
    "record_camera",
]

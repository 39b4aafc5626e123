"""Frames: extract still images from videos at requested times.

A **source** is one video file, one segment of a rolling buffer, one live camera or one folder of images. A **request**
has the times to extract of each. A **frame** is the image nearest to such a time, named by video, camera and its own
time stamp (PTS), never by a frame count: the same moment has the same name however the video was cut or read. Every
frame is in `frames.csv` with its SHA-256 and its group, so that a later split can keep what belongs together.

sources.py    find files, folders and buffers; camera, category and day from names
select.py     choose at most N videos of each category, camera or day
times.py      times to extract: a grid within a window
video.py      one open video: key frames, seeking, decoding
picking.py    nearest frames, and when to seek instead of decoding on
motion.py     the window around the most motion
writing.py    JPEG bytes, names, rows
journal.py    finished work, so that an interrupted run continues
extract.py    extract frames of many videos, on all cores
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

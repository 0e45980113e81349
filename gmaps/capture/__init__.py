"""Where live frames come from: a folder, a 16-bit video, a recording, a depth camera."""

from gmaps.capture.recording import Recorder
from gmaps.capture.shot import Shot, Source
from gmaps.capture.sources import open_source

__all__ = ["Recorder", "Shot", "Source", "open_source"]

"""Video in and out, through PyAV (FFmpeg)."""

from tdseg.video.frame import Frame
from tdseg.video.reader import VideoInfo, VideoReader, open_video
from tdseg.video.writer import VideoWriter

__all__ = ["Frame", "VideoInfo", "VideoReader", "VideoWriter", "open_video"]

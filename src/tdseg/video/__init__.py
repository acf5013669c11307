"""Video in and out, through PyAV (FFmpeg)."""

from tdseg.video.reader import Frame, VideoInfo, VideoReader, open_video
from tdseg.video.writer import VideoWriter

__all__ = ["Frame", "VideoInfo", "VideoReader", "VideoWriter", "open_video"]

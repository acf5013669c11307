"""Video in and out, through PyAV (FFmpeg)."""

from tdseg.video.excerpt import Excerpt
from tdseg.video.frame import Frame
from tdseg.video.opening import open_video
from tdseg.video.reader import VideoInfo, VideoReader
from tdseg.video.writer import VideoWriter

__all__ = ["Excerpt", "Frame", "VideoInfo", "VideoReader", "VideoWriter", "open_video"]

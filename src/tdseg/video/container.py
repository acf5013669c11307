"""Files, streams, cameras and pipes, opened: their picture stream, its clock, and why one cannot be opened."""

from __future__ import annotations

import errno
from fractions import Fraction
from functools import cache
from time import monotonic

import av
from av.container import InputContainer
from av.stream import Disposition
from av.video.stream import VideoStream

from tdseg.errors import VideoError
from tdseg.video.address import is_url, printable
from tdseg.video.answers import refusal
from tdseg.video.tap import ByteTap

URL_TIMEOUT_S = 20.0
"""How long an address may stay silent, or send what gives no picture, seconds."""
LIVE_FORMATS = frozenset({"mpjpeg"})
"""What cameras send that has no times: a picture's time is that of its coming."""
ALONE = frozenset(
    {
        *("apng", "asf", "avi", "flv", "gif", "h264", "hevc", "ivf", "live_flv", "m4v", "matroska", "mjpeg", "mov"),
        *("mp4", "mpeg", "mpegts", "mpegvideo", "mpjpeg", "mxf", "ogg", "rm", "rtsp", "webm", "webp_anim", "wtv"),
        *("y4m", "yuv4mpegpipe"),
    }
)
"""Formats of FFmpeg that hold a video themselves. Others are lists of addresses, which it would open in turn."""
MOST_PIXELS = 7680 * 4320
"""Of a frame of what is not to be trusted: a file of a few bytes may claim what fills the memory."""
BOUNDS = {"max_pixels": str(MOST_PIXELS)}
"""The same as an option of FFmpeg's decoders."""
_PROTOCOLS = "http,https,httpproxy,tcp,tls,udp,rtp,srtp,rtmp,rtmps,rtmpt,ffrtmphttp"


PLAYLISTS = frozenset({"concat", "dash", "hls", "imf", "rtsp", "sap", "sdp", "vobsub", "webm_dash_manifest"})
"""FFmpeg's names for files that name others, which it would open: those of a user's disk, and of other machines."""
_NETWORK = (
    "crypto data ffrtmphttp ftp gopher gophers hls http httpproxy https icecast mms mmsh mmst prompeg rist rtmp rtmpe "
    "rtmps rtmpt rtmpte rtmpts rtp sctp sftp srt srtp tcp tls udp udplite unix"
)
"""Protocols that an address may lead to: a playlist from elsewhere opens no file here."""


def open_input(
    name: str,
    address: str | None = None,
    format: str | None = None,
    *,
    timeout_s: float = URL_TIMEOUT_S,
    alone: bool = False,
    tap: ByteTap | None = None,
) -> InputContainer:
    """Open a path or URL, or what FFmpeg calls ``address``, for which errors say ``name``; or a pipe that is tapped.

    An address may stay silent for ``timeout_s`` seconds, now and later. ``alone``: nothing else is opened for it,
    neither where a server sends on to, nor what a list names, and no frame of more than `MOST_PIXELS` is decoded.

    Raises:
        VideoError: it is missing, unreadable or no video.
    """
    if address is None:  # FFmpeg takes a:b.mp4 for a protocol, unless it is marked as a file
        address = name if is_url(name) else f"file:{name}"
    is_remote = is_url(address) and not address.lower().startswith("file:")
    timeout = timeout_s if is_remote else None
    options: dict[str, str] = {}
    if is_remote:
        options = {"protocol_whitelist": ",".join(_NETWORK.split())}
    elif format is None:
        options = {"protocol_whitelist": "file,pipe,fd", "format_whitelist": _whole_formats()}
    if alone:
        protocols = _PROTOCOLS if is_url(address) else "file"
        options = {"format_whitelist": ",".join(sorted(ALONE)), "protocol_whitelist": protocols, "max_redirects": "0"}
        options |= BOUNDS
    container = _open(name, tap or address, format, timeout, options)
    if is_url(address) and container.format.name in LIVE_FORMATS:
        container.close()  # what was read to find out has no times yet
        container = _open(name, address, format, timeout, options | {"use_wallclock_as_timestamps": "1"})
    return container


def _open(
    name: str, address: str | ByteTap, format: str | None, timeout: float | None, options: dict[str, str]
) -> InputContainer:
    begun = monotonic()
    try:
        return av.open(address, "r", format=format, timeout=timeout, metadata_errors="replace", options=options)
    except (OSError, av.FFmpegError) as error:
        if timeout is not None:
            raise VideoError(
                f"{printable(name)}: {refusal(error, name, timeout, monotonic() - begun)}",
                expected="an address that answers with a video",
                do="check the address, user and password, and whether the camera or server runs",
            ) from error
        if isinstance(error, OSError):  # missing, no permission, no such camera
            raise unreachable(name, error) from error
        if error.errno == errno.EINVAL and "format_whitelist" in options and _is_playlist(address):
            raise VideoError(
                f"{name}: a playlist, which names other files",
                expected="the video itself; playlists are played from addresses, such as https://…",
                do="give the files that it names, or the address that it is from",
            ) from error
        raise VideoError(
            f"{name}: {error.strerror}",
            expected="a video that FFmpeg can read",
            do="check that the file is a video; one cut off while being recorded lacks its index and needs repair",
        ) from error


@cache
def _whole_formats() -> str:
    """Formats that FFmpeg may take a file for: those that hold all of the video."""
    return ",".join(sorted({part for name in av.formats_available for part in name.split(",")} - PLAYLISTS))


def _is_playlist(address: str | ByteTap) -> bool:
    """Whether a local file begins as one that names others."""
    if isinstance(address, ByteTap):
        start = address.head
    else:
        try:
            with open(address.removeprefix("file:"), "rb") as file:
                start = file.read(512)
        except (OSError, ValueError):
            return False
    start = start[:512].lstrip(b"\xef\xbb\xbf \t\r\n")
    return start.startswith((b"#EXTM3U", b"ffconcat", b"v=0", b"# VobSub")) or b"<MPD" in start


def unreachable(name: str, error: OSError) -> VideoError:
    """The error for a source that the system does not give."""
    return VideoError(
        f"{name}: {error.strerror}",
        expected="a source that exists and may be read",
        do="check the path, its permissions or the address",
    )


def video_stream(container: InputContainer) -> VideoStream | None:
    """The largest picture stream, as FFmpeg chooses; cover art of music is none."""
    streams = [s for s in container.streams.video if s.codec_context and not s.disposition & Disposition.attached_pic]
    return max(streams, key=lambda s: s.width * s.height, default=None)


def start_of(stream: VideoStream) -> Fraction | None:
    """The source's clock, in seconds, at the start of the video, where :attr:`Frame.time_s` is 0."""
    return None if stream.start_time is None or stream.time_base is None else stream.start_time * stream.time_base


def has_display_times(container: InputContainer, stream: VideoStream) -> bool:
    """Whether packets say when they are shown; those of AVI, and of Matroska that wraps it, only say their order.

    FFmpeg makes times up for such packets, which are wrong where frames are not shown in the order of decoding.
    """
    if container.format.name == "avi":
        return False
    tagged = bool(stream.codec_context.codec_tag.strip("\0"))
    return not (tagged and container.format.name.startswith("matroska"))

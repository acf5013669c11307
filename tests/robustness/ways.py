"""The ways in which a network gives less than a video, and what `tdseg segment` makes of each."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import av

from robustness.clips import COUNT
from robustness.servers import (
    by_path,
    chunked,
    file,
    is_silent,
    leads,
    packed,
    pictures,
    refuses_ranges,
    resets,
    says,
)
from support.bad_cameras import NOISE, closes, drips, has_endless_headers, leads_in_a_circle
from support.fake_camera import Behaviour, answer, part
from tdseg.cli import DONE, IN_PART, REFUSED

LIVE = ["--reconnect-s", "0"]
"""Options for what is taken for live: an address that says no length, of a video that says none either."""
HTTP = "http://127.0.0.1:{port}/video"


class Way(NamedTuple):
    """A server, and the end of a command that segments what it sends."""

    behave: Behaviour
    code: int
    says: str = ""
    """Part of what is said and, of a result, of its problem."""
    clip: str = ""
    """Whose frames come, from the first on."""
    least: int = 0
    most: int = 0
    """Frames."""
    address: str = HTTP
    options: list[str] = []  # noqa: RUF012 - of a NamedTuple


def make_ways(clips: Path) -> dict[str, Way]:
    """All of them, by name."""
    data = {path.name: path.read_bytes() for path in clips.iterdir() if path.is_file()}
    return (
        _whole(data)
        | _broken_off(clips, data)
        | _lengths(clips, data)
        | _answers(data)
        | _playlists(clips, data)
        | _cameras(clips)
        | _others()
    )


def came(clip: Path, upto: float) -> int:
    """How many pictures of a clip are whole in a part of it."""
    with av.open(str(clip)) as container:
        starts = [packet.pos or 0 for packet in container.demux(video=0) if packet.size]
    assert len(starts) == COUNT
    return sum(end <= int(upto * clip.stat().st_size) for end in [*starts[1:], clip.stat().st_size])


def done(behave: Behaviour, clip: str, **more: Any) -> Way:
    """All of a clip comes."""
    return Way(behave, DONE, clip=clip, least=COUNT, most=COUNT, **more)


def in_part(behave: Behaviour, problem: str, clip: Path, upto: float, **more: Any) -> Way:
    """What is whole of a clip comes, and it is said why no more does."""
    count = came(clip, upto)
    return Way(behave, IN_PART, problem, clip.name, count, count, **more)


def refused(behave: Behaviour, problem: str, **more: Any) -> Way:
    """Nothing comes, and nothing is left."""
    return Way(behave, REFUSED, problem, **more)


FILES = ("fast.mp4", "parts.mp4", "clip.ts", "clip.mkv", "clip.webm", "clip.avi", "clip.flv", "clip.ogv")
ENDED, SILENT = "the connection ended", "nothing came for 2 s"


def _whole(data: dict[str, bytes]) -> dict[str, Way]:
    """All is well, in whatever way it comes."""
    ways = {f"whole {name}": done(file(data[name]), name) for name in (*FILES, "late.mp4")}
    for name in ("fast.mp4", "clip.mkv", "clip.webm", "clip.avi", "clip.flv"):
        ways[f"whole {name}, no length"] = done(file(data[name], length=None), name)
    return ways | {
        "whole, in chunks": done(chunked(data["fast.mp4"]), "fast.mp4"),
        "whole, compressed": done(packed(data["fast.mp4"]), "fast.mp4"),
        "whole, called a page": done(file(data["fast.mp4"], kind="text/html"), "fast.mp4"),
        "whole, no ranges": done(file(data["clip.ts"], ranges=False), "clip.ts"),
    }


def _broken_off(clips: Path, data: dict[str, bytes]) -> dict[str, Way]:
    """The connection of a file does not last."""
    ways = {
        f"{name} ends at {upto:.0%}": in_part(file(data[name], upto), ENDED, clips / name, upto)
        for name in FILES
        for upto in (0.3, 0.71)
    }
    for name in ("fast.mp4", "clip.ts", "clip.mkv"):
        silent = file(data[name], 0.71, is_silent)
        if name == "clip.ts":  # while FFmpeg still looks what it is: it then cannot go back to the start
            ways[f"{name} falls silent"] = refused(silent, SILENT)
        else:
            ways[f"{name} falls silent"] = in_part(silent, SILENT, clips / name, 0.71)
        ways[f"{name} ends, no length"] = in_part(file(data[name], 0.71, length=None), ENDED, clips / name, 0.71)
        reset = in_part(file(data[name], 0.71, resets), "", clips / name, 0.71)
        ways[f"{name} is reset"] = reset._replace(least=1)  # what the system has not handed over is gone
    sound = in_part(
        file(data["sound.mkv"], 0.71), ENDED, clips / "sound.mkv", 0.71, options=["--write", "masks,overlay"]
    )
    return ways | {
        "late.mp4 ends": refused(file(data["late.mp4"], 0.71, ranges=False), "is no video"),
        "sound ends": sound._replace(most=sound.most + 1),  # the picture may be there, and its sound not
    }


def _lengths(clips: Path, data: dict[str, bytes]) -> dict[str, Way]:
    """What is said of the length, or of parts, is wrong."""
    clip, mp4 = data["clip.mkv"], clips / "fast.mp4"
    more = file(clip, length=len(clip) + 500)
    cut, avi = data["fast.mp4"], data["clip.avi"]
    return {
        "length too great": Way(more, IN_PART, ENDED, "clip.mkv", COUNT, COUNT),
        "a cut file": in_part(file(cut[: len(cut) * 71 // 100]), "the file is cut off", mp4, 0.71),
        "a cut file of no length": in_part(file(cut[: len(cut) * 71 // 100], length=None), ENDED, mp4, 0.71),
        "a cut AVI": in_part(file(avi[: len(avi) * 71 // 100]), "damaged", clips / "clip.avi", 0.71),
        "ends in a chunk": in_part(chunked(cut, 0.71), ENDED, mp4, 0.7095),
        "no last chunk": done(chunked(cut, last=b""), "fast.mp4"),
        "chunks of no size": refused(says(CHUNKED + b"nothing\r\n" + cut), "is no video"),
        "compressed ends": in_part(packed(cut, 0.71), "", mp4, 0.71)._replace(least=1),
        "ranges refused": refused(refuses_ranges(data["late.mp4"]), "0 of 24 declared frames came"),
        "ranges ignored": refused(file(data["late.mp4"], ranges=False), "0 of 24 declared frames came"),
    }


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


def _answers(data: dict[str, bytes]) -> dict[str, Way]:
    """The server says something else."""
    clip = data["fast.mp4"]
    statuses = {
        "401 Unauthorized": "401",
        "403 Forbidden": "403",
        "404 Not Found": "404",
        "418 I'm a teapot": "refused",
        "500 Internal Server Error": "server failed",
        "503 Service Unavailable": "server failed",
    }
    ways = {status: refused(answer(status), words) for status, words in statuses.items()}
    return ways | {
        "sent on": done(by_path(video=leads("/other"), other=file(clip)), "fast.mp4"),
        "sent in a circle": refused(leads_in_a_circle, "leads in a circle"),
        "sent to a file": refused(leads("file:///etc/hostname"), "leads to, is none"),
        "sent to a dead port": refused(leads("http://127.0.0.1:1/video"), "Connection refused"),
        "sent to nowhere": refused(leads(""), ""),
        "garbage": refused(answer("200 OK", NOISE), "is no video"),
        "garbage for HTTP": refused(says(NOISE), "none of its protocol"),
        "a page": refused(answer("200 OK", b"<html>Welcome</html>", "Content-Type: text/html"), "is no video"),
        "nothing": refused(answer("200 OK"), "is no video"),
        "closes at once": refused(closes, "closed before a picture came"),
        "is reset at once": refused(resets, ""),
        "never answers": refused(is_silent, "no answer for 2 s"),
        "silent in its headers": refused(says(b"HTTP/1.1 200 OK\r\nContent-", is_silent), "no answer for 2 s"),
        "reset in its headers": refused(says(b"HTTP/1.1 200 OK\r\nContent-", resets), ""),
        "headers without end": refused(has_endless_headers, "no answer for 2 s"),
        "silent after its headers": refused(says(b"HTTP/1.1 200 OK\r\n\r\n", is_silent), "no answer for 2 s"),
    }


def _playlists(clips: Path, data: dict[str, bytes]) -> dict[str, Way]:
    """Playlists and their pieces."""
    address = "http://127.0.0.1:{port}/list.m3u8"
    pieces: dict[str, Behaviour] = {f"piece{number}": file(data[f"piece{number}.ts"]) for number in range(3)}
    lists = {"list": file(data["list.m3u8"], kind="application/vnd.apple.mpegurl")}
    local = data["list.m3u8"].replace(b"piece1", f"file://{clips}/piece1".encode())
    missing = dict(list(pieces.items())[:2])
    garbage = pieces | {"piece1": answer("200 OK", NOISE)}

    def lacking(behave: Behaviour) -> Way:
        two = COUNT * 2 // 3
        return Way(behave, IN_PART, "1.6 of 4.8 s are missing", "clip.ts", two, two, address)

    return {
        "a playlist": done(by_path(**lists, **pieces), "clip.ts", address=address),
        "a playlist of nothing": refused(by_path(**lists), "", address=address),
        "the last piece is missing": lacking(by_path(**lists, **missing)),
        "a piece is garbage": lacking(by_path(**lists, **garbage)),
        "a piece on this disk": lacking(by_path(list=answer("200 OK", local), **pieces)),
    }


def _cameras(clips: Path) -> dict[str, Way]:
    """Pictures without end and without a length."""
    images = [path.read_bytes() for path in sorted((clips / "pictures").iterdir())]
    parts = [part(image) for image in images]
    half = COUNT // 2
    kinds = {
        "hangs up": (pictures(parts), COUNT),
        "hangs up in a picture": (pictures([*parts[:half], parts[half][:-900]]), half),
        "silent in a picture": (pictures([*parts[:half], parts[half][:-900]], is_silent), half),
        "reset in a picture": (pictures([*parts[:half], parts[half][:-900]], resets), half),
        "another boundary": (
            pictures([*parts[:half], parts[half].replace(b"--frame", b"--other"), *parts[half + 1 :]]),
            COUNT,
        ),
        "no picture any more": (pictures([*parts[:half], part(NOISE[:3000])]), half),
    }
    ways = {
        f"a camera: {name}": Way(
            behave, IN_PART, "", "clip.mjpeg", 1 if "reset" in name else count, count, options=LIVE
        )
        for name, (behave, count) in kinds.items()
    }
    return ways | {
        "a camera: without pictures": refused(pictures([part(NOISE[:3000])] * 9), "", options=LIVE),
        "a camera: a byte now and then": refused(drips, "no answer for 2 s", options=LIVE),
    }


def _others() -> dict[str, Way]:
    """Other protocols than the one that is spoken, and nobody who speaks."""
    page = answer("400 Bad Request", b"speak TLS")
    alert = says(bytes.fromhex("15030100020246"))
    addresses: dict[str, tuple[Behaviour, str]] = {
        "https://127.0.0.1:{port}/video": (page, ""),
        "https://127.0.0.1:{port}/silent": (is_silent, "no answer for 2 s"),
        "rtsp://127.0.0.1:{port}/video": (page, ""),
        "rtsp://127.0.0.1:{port}/silent": (is_silent, "no answer for 2 s"),
        "rtmp://127.0.0.1:{port}/video/x": (says(NOISE), ""),
        "rtmp://127.0.0.1:{port}/video/silent": (is_silent, "no answer for 2 s"),
        "tcp://127.0.0.1:{port}": (closes, ""),
        "udp://127.0.0.1:{port}": (closes, "no answer for 2 s"),
        "http://nowhere.invalid/video": (closes, "no host is called nowhere.invalid"),
        "http://127.0.0.1:1/video": (closes, "Connection refused"),
        "http://127.0.0.1:99999/video": (closes, ""),
        "http://": (closes, ""),
        "nonsense://127.0.0.1:{port}/video": (closes, "no such protocol"),
    }
    ways = {address: refused(behave, words, address=address) for address, (behave, words) in addresses.items()}
    return ways | {"plain HTTP to TLS": refused(alert, "")}

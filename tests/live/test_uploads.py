"""Videos that clients send."""

from __future__ import annotations

import os
import resource
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.serving import Served, is_error, serving, until
from support.small import write_clip
from tdseg.live.limits import Limits
from tdseg.live.session import Session


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    with serving(limits=Limits(most_upload_mb=0.5, most_sessions=2, requests_per_s=10_000)) as server:
        yield server


def kept(served: Served) -> list[str]:
    return os.listdir(served.service._uploads)


@pytest.fixture(autouse=True)
def nothing_is_left(served: Served) -> Iterator[None]:
    yield
    for session in served.sessions:
        served.client.delete(f"/sessions/{session.name}")
    until(lambda: not kept(served))


def test_a_video_is_a_session(served: Served, tmp_path: Path) -> None:
    content = write_clip(tmp_path / "clip.mp4", 6).read_bytes()
    response = served.client.put("/sessions/sent", content=content)
    assert response.status_code == 201
    until(lambda: served.client.get("/sessions/sent").json()["state"] == "ended")
    told = served.client.get("/sessions/sent").json()
    assert (told["source"], told["problem"]) == ("uploaded", None)
    assert told["frames"] + told["skipped"] == 6
    assert served.client.get("/sessions/sent/mask.png").status_code == 200
    assert str(served.service._uploads) not in served.client.get("/sessions").text
    assert is_error(served.client.put("/sessions/sent", content=content), 409)


def test_a_damaged_video_says_so_without_its_place(served: Served, tmp_path: Path) -> None:
    content = write_clip(tmp_path / "clip.mp4", 6).read_bytes()
    middle = len(content) // 2
    served.client.put("/sessions/damaged", content=content[: middle - 600] + bytes(1200) + content[middle + 600 :])
    until(lambda: not kept(served) or served.client.get("/sessions/damaged").json()["state"] in ("ended", "failed"))
    assert str(served.service._uploads) not in served.client.get("/sessions").text


LISTS = {
    "hls": b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile:///PLACE/clip.mp4\n#EXT-X-ENDLIST\n",
    "hls of http": b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nhttp://127.0.0.1:1/a.ts\n#EXT-X-ENDLIST\n",
    "concat": b"ffconcat version 1.0\nfile PLACE/clip.mp4\n",
    "dash": b'<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static"><Period><AdaptationSet '
    b'mimeType="video/mp4"><Representation id="1" bandwidth="1"><BaseURL>file:///PLACE/clip.mp4</BaseURL>'
    b"</Representation></AdaptationSet></Period></MPD>",
    "sdp": b"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 9 RTP/AVP 96\n"
    b"a=rtpmap:96 H264/90000\n",
    "imf": b'<?xml version="1.0"?><CompositionPlaylist xmlns="http://www.smpte-ra.org/schemas/2067-3/2016"/>',
    "text": b"To whom it may concern, this is no video at all.\n" * 40,
    "zeros": bytes(4000),
    "png": b"\x89PNG\r\n\x1a\n" + bytes(100),
}


@pytest.mark.parametrize("kind", LISTS)
def test_lists_of_addresses_and_what_is_no_video(served: Served, tmp_path: Path, kind: str) -> None:
    write_clip(tmp_path / "clip.mp4", 3)
    content = LISTS[kind].replace(b"/PLACE", bytes(tmp_path)).replace(b"PLACE", bytes(tmp_path))
    assert is_error(served.client.put("/sessions/list", content=content), 422)
    assert len(served.sessions) == 0


def test_a_list_of_what_another_sent(served: Served, tmp_path: Path) -> None:
    served.client.put("/sessions/sent", content=write_clip(tmp_path / "clip.mp4", 3).read_bytes())
    (name,) = kept(served)
    assert is_error(served.client.put("/sessions/list", content=f"ffconcat version 1.0\nfile {name}\n"), 422)


def test_one_that_is_ended_as_soon_as_it_is_there(tmp_path: Path) -> None:
    """Nothing of it stays behind, whoever is quicker."""
    content = write_clip(tmp_path / "clip.mp4", 3).read_bytes()
    with serving() as served:
        begin = served.sessions.open

        def begin_and_end(name: str, *given: Any, **options: Any) -> Session:
            session = begin(name, *given, **options)
            assert served.client.delete(f"/sessions/{name}").status_code == 204
            return session

        served.sessions.open = begin_and_end  # type: ignore[method-assign]
        served.client.put("/sessions/sent", content=content)
        assert not kept(served)
        assert not served.service._opened


def test_too_large(served: Served) -> None:
    assert is_error(served.client.put("/sessions/large", content=bytes(600_000)), 413)
    chunks = (bytes(100_000) for _ in range(6))  # whose length is not declared
    assert is_error(served.client.put("/sessions/large", content=chunks), 413)
    assert is_error(served.client.put("/sessions/empty", content=b""), 422)


def test_a_disk_that_is_full(served: Served, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """It is told, to the client as to who runs the server; what was written of it goes."""
    before, ignored = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, before[1]))  # which the system meets like a full disk
    try:
        response = served.client.put("/sessions/large", content=bytes(200_000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)
    assert is_error(response, 507)
    assert "cannot be kept" in caplog.text
    assert not kept(served)
    with monkeypatch.context() as gone:
        gone.setattr(served.service, "_uploads", Path("/no/such/folder"))
        assert is_error(served.client.put("/sessions/large", content=b"x"), 507)
    assert "/no/such" not in response.text


def test_one_that_is_cut_off(served: Served) -> None:
    with served.raw() as connection:
        connection.sendall(
            b"PUT /sessions/cut HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\n" + bytes(500)
        )
        until(lambda: kept(served))
        assert is_error(served.client.put("/sessions/cut", content=b"x"), 409)  # the name is taken meanwhile
    until(lambda: not kept(served))
    assert len(served.sessions) == 0
    assert is_error(served.client.put("/sessions/cut", content=b"x"), 422)  # and free again


def test_those_on_their_way_count_as_sessions(served: Served) -> None:
    with served.raw() as one, served.raw() as other:
        for number, connection in enumerate((one, other)):
            head = f"PUT /sessions/way{number} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n"
            connection.sendall(head.encode() + b"x")
        until(lambda: len(kept(served)) == 2)
        assert is_error(served.client.post("/sessions", json={"name": "third"}), 503)


def test_files_are_of_this_user_alone_and_go_with_the_server(tmp_path: Path) -> None:
    with serving() as served:
        served.client.put("/sessions/sent", content=write_clip(tmp_path / "clip.mp4", 3).read_bytes())
        (name,) = kept(served)
        folder = served.service._uploads
        assert folder.stat().st_mode & 0o077 == 0
        assert (folder / name).stat().st_mode & 0o077 == 0
    assert not folder.exists()

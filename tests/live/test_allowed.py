"""Sources that clients may name, and the ways around that must not be there."""

from __future__ import annotations

import threading
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import pytest

from support.serving import is_error, serving, until
from support.small import write_clip
from tdseg.errors import ConfigError
from tdseg.live.allowed import AllowedSources
from tdseg.live.refusal import RequestError

ALLOWED = [
    "rtsp://camera.lan/",
    "http://127.0.0.1:9000/live",
    "https://[2001:db8::1]:8443/",
    "http://Films.example.org",
]
GRANTED = {
    "rtsp://camera.lan": "rtsp://camera.lan:554",
    "rtsp://camera.lan/stream?channel=1": "rtsp://camera.lan:554/stream?channel=1",
    "RTSP://Camera.LAN:554/stream": "rtsp://camera.lan:554/stream",
    "rtsp://user:p%40ss@camera.lan/stream": "rtsp://user:p%40ss@camera.lan:554/stream",
    "http://127.0.0.1:9000/live": "http://127.0.0.1:9000/live",
    "http://127.0.0.1:9000/live/a.mjpg": "http://127.0.0.1:9000/live/a.mjpg",
    "https://[2001:db8:0:0::1]:8443/x": "https://[2001:db8::1]:8443/x",
    "http://films.example.org/a%20b.mp4": "http://films.example.org:80/a%20b.mp4",
}
REFUSED = [
    # other hosts, ports, schemes and paths
    "rtsp://other.lan/",
    "rtsp://camera.lan:8554/",
    "rtsps://camera.lan/",
    "http://camera.lan/",
    "http://127.0.0.1:9000/",
    "http://127.0.0.1:9000/liveness",
    "http://127.0.0.1:9000/live/../secret",
    "http://127.0.0.1:9000/live/%2e%2e/secret",
    "http://127.0.0.1:9000/live/%252e%252e/secret",
    "http://127.0.0.1:9000/live/..;/secret",
    "http://127.0.0.1:9000/live%2f..%2fsecret",
    "http://127.0.0.1:9000/live/..\\secret",
    "http://127.0.0.1:8000/live",
    # this machine and its network under other spellings
    "http://localhost:9000/live",
    "http://2130706433:9000/live",
    "http://0x7f000001:9000/live",
    "http://0177.0.0.1:9000/live",
    "http://127.1:9000/live",
    "http://[::1]:9000/live",
    "http://[::ffff:127.0.0.1]:9000/live",
    "http://[0:0:0:0:0:ffff:7f00:1]:9000/live",
    "http://127.0.0.1.:9000/live",
    "http://169.254.169.254/latest/meta-data/",
    "http://0.0.0.0/",
    "http://0/",
    # what readers of URLs take differently
    "rtsp://camera.lan@evil.example/",
    "rtsp://evil.example\\@camera.lan/",
    "rtsp://evil.example#@camera.lan/",
    "rtsp://camera.lan#.evil.example/",
    "rtsp://a@evil.example@camera.lan/",
    "rtsp://camera.lan:554:80/",
    "rtsp://camera.lan:x/",
    "rtsp://camera.lan:0/",
    "rtsp://camera.lan:99999/",
    "rtsp://camera.lan%00.evil.example/",
    "rtsp://camera.lan%2eevil.example/",
    "rtsp://camera.lan .evil.example/",
    "rtsp://camera.lan\t.evil.example/",
    "rtsp://[camera.lan]/",
    "rtsp://[fe80::1%25eth0]/",
    "rtsp:///camera.lan/",
    "rtsp:camera.lan/",
    "//camera.lan/",
    "rtsp://cаmera.lan/",  # with a Cyrillic letter
    "http://①②⑦.⓪.⓪.①:9000/live",
    # files, and protocols of FFmpeg
    "file:///etc/passwd",
    "file:/etc/passwd",
    "/etc/passwd",
    "../../etc/passwd",
    "/proc/self/environ",
    "/dev/video0",
    "/dev/stdin",
    "-",
    "pipe:0",
    "fd:0",
    "concat:/etc/passwd|/etc/hosts",
    "concat:http://127.0.0.1:9000/live",
    "concatf:/etc/passwd",
    "subfile,,start,0,end,0,,:/etc/passwd",
    "cache:http://127.0.0.1:9000/live",
    "async:file:///etc/passwd",
    "crypto:/etc/passwd",
    "data:text/plain,x",
    "tee:http://x",
    "http+tls://127.0.0.1:9000/live",
    "httpproxy://127.0.0.1:9000/live",
    "tcp://127.0.0.1:9000/live",
    "udp://127.0.0.1:9000",
    "unix:///run/docker.sock",
    "gopher://127.0.0.1:9000/live",
    "ftp://127.0.0.1:9000/live",
    "sftp://camera.lan/",
    "hls+http://127.0.0.1:9000/live",
    "lavfi:testsrc",
    "testsrc=size=64x64",
    "video=0",
    "0",
    "1",
    "٣",
    "%05d.png",
    "*",
    "frames/*.png",
]
FORMS: list[object] = [None, 3, True, [], {}, "", " ", "a\x00b", "http://127.0.0.1:9000/live\r\nHost: x", "a" * 3000]


@pytest.mark.parametrize(("source", "opened"), GRANTED.items())
def test_what_is_allowed_is_opened_in_one_spelling(source: str, opened: str) -> None:
    assert AllowedSources(ALLOWED).check(source) == opened


@pytest.mark.parametrize("source", [*REFUSED, *FORMS])
def test_what_is_not_allowed(source: object) -> None:
    for allowed in ([], ALLOWED):
        with pytest.raises(RequestError) as caught:
            AllowedSources(allowed).check(source)
        assert caught.value.status in (403, 422)


def test_nothing_is_allowed_by_itself() -> None:
    for source in [*GRANTED, "http://example.org/a.mp4", str(Path(__file__))]:
        with pytest.raises(RequestError):
            AllowedSources().check(source)


def test_files_of_a_folder(tmp_path: Path) -> None:
    inside, outside = tmp_path / "films", tmp_path / "secret.mp4"
    inside.mkdir()
    for path in (inside / "a.mp4", outside, tmp_path / "films-more.mp4"):
        path.write_bytes(b"x")
    (inside / "link.mp4").symlink_to(outside)
    (inside / "concat:a.mp4").write_bytes(b"x")
    allowed = AllowedSources([str(inside)])
    assert allowed.check(str(inside / "a.mp4")) == inside / "a.mp4"
    assert allowed.check(str(inside / "concat:a.mp4")) == inside / "concat:a.mp4"  # a path, never text
    refused = [outside, inside / "link.mp4", inside / ".." / "secret.mp4", tmp_path / "films-more.mp4", tmp_path]
    messages = set()
    for path in [*refused, inside / "none.mp4", tmp_path / "none.mp4"]:
        with pytest.raises(RequestError) as caught:
            allowed.check(str(path))
        messages.add(str(caught.value))
    assert len(messages) == 1  # what exists elsewhere is not told


def test_a_folder_of_frames_that_leads_out(tmp_path: Path) -> None:
    frames, secret = tmp_path / "films" / "frames", tmp_path / "secret.png"
    frames.mkdir(parents=True)
    for path in (frames / "0.png", secret):
        path.write_bytes(b"x")
    (frames / "1.png").symlink_to(frames / "0.png")
    allowed = AllowedSources([str(tmp_path / "films")])
    assert allowed.check(str(frames)) == frames
    (frames / "2.png").symlink_to(secret)
    with pytest.raises(RequestError):
        allowed.check(str(frames))


def test_cameras() -> None:
    assert AllowedSources(["2"]).check("2") == 2
    for other in ("0", "02x", "-2", "2 ", "²"):
        with pytest.raises(RequestError):
            AllowedSources(["2"]).check(other)


WRONG = ["rtsp://*", "http://*.lan/", "file:///videos", "ftp://host/", "http://", "rtsp://user:word@camera.lan/"]


@pytest.mark.parametrize("text", [*WRONG, "http://a/?b=c", "nothing-here", "http://a\\b/", "http://a/../b"])
def test_what_cannot_be_allowed(text: str) -> None:
    with pytest.raises(ConfigError, match="--allow"):
        AllowedSources([text])


def test_refused_over_http(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mp4", 3)
    with serving(allow=[*ALLOWED, str(tmp_path)]) as served:
        for source in REFUSED:
            response = served.client.post("/sessions", json={"name": "a", "source": source})
            assert is_error(response, 403) or is_error(response, 422), source
        assert len(served.sessions) == 0
        assert served.client.post("/sessions", json={"name": "a", "source": str(clip)}).status_code == 201


class _Leading(BaseHTTPRequestHandler):
    """A server that sends on to another place, or names one in a list."""

    asked: ClassVar[list[str]] = []
    clip: ClassVar[bytes] = b""

    def do_GET(self) -> None:
        self.asked.append(self.path)
        host = f"http://{self.headers['Host']}"
        lists = {
            "/live/list": f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{host}/secret.ts\n#EXT-X-ENDLIST\n",
            "/live/concat": f"ffconcat version 1.0\nfile {host}/secret\n",
        }
        leads = self.path == "/live/leads"
        body = b"" if leads else lists[self.path].encode() if self.path in lists else self.clip
        self.send_response(302 if leads else 200)
        self.send_header("Content-Type", "application/vnd.apple.mpegurl" if self.path in lists else "video/mp4")
        self.send_header("Content-Length", str(len(body)))
        if leads:
            self.send_header("Location", f"{host}/secret")
        self.end_headers()
        with suppress(OSError):
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


def test_an_allowed_server_cannot_send_on_to_others(tmp_path: Path) -> None:
    _Leading.clip = write_clip(tmp_path / "clip.mp4", 3).read_bytes()
    with ThreadingHTTPServer(("127.0.0.1", 0), _Leading) as elsewhere:
        threading.Thread(target=elsewhere.serve_forever).start()
        try:
            address = f"http://127.0.0.1:{elsewhere.server_port}/live"
            with serving(allow=[address]) as served:
                for name in ("leads", "list", "concat"):
                    served.client.post("/sessions", json={"name": name, "source": f"{address}/{name}"})
                    until(lambda name=name: served.client.get(f"/sessions/{name}").json()["problem"])  # type: ignore[misc]
                    assert served.client.get(f"/sessions/{name}").json()["frames"] == 0
                served.client.post("/sessions", json={"name": "film", "source": f"{address}/film"})
                until(lambda: served.client.get("/sessions/film").json()["frames"])
        finally:
            elsewhere.shutdown()
    assert not [path for path in _Leading.asked if "secret" in path]

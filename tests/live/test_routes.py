"""Every address of the server, as a client has them."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from support.serving import Served, is_error, picture, serving, until
from support.small import SIZE, moving_frames, write_clip
from tdseg.live.limits import Limits
from tdseg.live.mjpeg import BOUNDARY
from tdseg.masks.classes import CAMVID_CLASSES


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    with serving() as server:
        yield server


@pytest.fixture
def pushed(served: Served, request: pytest.FixtureRequest) -> Iterator[str]:
    """A session with one result."""
    name = re.sub(r"\W", "-", request.node.name)
    assert served.client.post("/sessions", json={"name": name}).status_code == 201
    served.sessions[name].push(moving_frames(1)[0])
    until(served.sessions[name].newest)
    yield name
    served.client.delete(f"/sessions/{name}")


def test_health(served: Served) -> None:
    response = served.client.get("/health")
    assert response.status_code == 200
    assert response.json()["status"] == "ok"


def test_the_page_loads_nothing_but_its_own_files(served: Served) -> None:
    response = served.client.get("/")
    assert response.headers["content-type"].startswith("text/html")
    assert "default-src 'none'" in response.headers["content-security-policy"]
    named = re.findall(r'(?:src|href)="([^"]+)"', response.text)
    assert named
    modules = [served.client.get(name).text for name in named if name.endswith(".js")]
    named += [f"/page/{name}" for text in modules for name in re.findall(r'from "\./([^"]+)"', text)]
    for name in named:
        assert name.startswith(("/page/", "data:,")), name
        if name.startswith("/"):
            assert served.client.get(name).status_code == 200, name
    everything = response.text + "".join(served.client.get(name).text for name in named if name.startswith("/"))
    assert not re.findall(r"https?://(?!localhost)", everything.replace("https:// and localhost", ""))
    assert not re.findall(r"innerHTML|insertAdjacentHTML|document\.write|eval\(", everything)


@pytest.mark.parametrize("name", ["..%2f__init__.py", "%2e%2e/server.py", "nothing.js", "..\\server.py"])
def test_the_page_has_no_other_files(served: Served, name: str) -> None:
    assert is_error(served.client.get(f"/page/{name}"), 404)


def test_sessions_are_listed(served: Served, pushed: str) -> None:
    listed = served.client.get("/sessions").json()
    assert [one["name"] for one in listed["classes"]] == list(CAMVID_CLASSES)
    assert all(re.fullmatch("#[0-9a-f]{6}", one["color"]) for one in listed["classes"])
    (one,) = (one for one in listed["sessions"] if one["name"] == pushed)
    assert (one["source"], one["state"], one["problem"], one["frames"]) == ("pushed", "running", None, 1)
    assert sum(one["shares"].values()) == pytest.approx(1, abs=1e-3)
    assert served.client.get(f"/sessions/{pushed}").json()["name"] == pushed


def test_snapshot_and_mask_are_of_the_newest_frame(served: Served, pushed: str) -> None:
    result = served.sessions[pushed].newest()
    assert result is not None
    plain = served.client.get(f"/sessions/{pushed}/snapshot.jpg?opacity=0")
    assert plain.headers["content-type"] == "image/jpeg"
    assert np.abs(picture(plain.content).astype(int) - result.frame).mean() < 8
    half = picture(served.client.get(f"/sessions/{pushed}/snapshot.jpg").content)
    assert np.abs(half.astype(int) - result.overlay()).mean() < 8
    mask = served.client.get(f"/sessions/{pushed}/mask.png")
    assert mask.headers["content-type"] == "image/png"
    assert (picture(mask.content) == result.mask).all()
    assert mask.headers["x-frame-index"] == str(result.index)


@pytest.mark.parametrize("opacity", ["-0.1", "1.1", "nan", "inf", "x", ""])
def test_opacity_is_a_share(served: Served, pushed: str, opacity: str) -> None:
    assert is_error(served.client.get(f"/sessions/{pushed}/snapshot.jpg?opacity={opacity}"), 422)
    assert is_error(served.client.get(f"/sessions/{pushed}/stream.mjpg?opacity={opacity}"), 422)


def test_stream_is_pictures_one_after_the_other(served: Served, pushed: str) -> None:
    parts: list[bytes] = []
    with served.client.stream("GET", f"/sessions/{pushed}/stream.mjpg?opacity=0") as response:
        assert response.headers["content-type"] == f"multipart/x-mixed-replace; boundary={BOUNDARY}"
        content = b""
        for chunk in response.iter_bytes():
            content += chunk
            while match := re.match(rb"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: (\d+)\r\n\r\n", content):
                end = match.end() + int(match[1])
                if len(content) < end + 2:
                    break
                parts.append(content[match.end() : end])
                content = content[end + 2 :]
                served.sessions[pushed].push(moving_frames(3)[len(parts) % 3])
            if len(parts) == 3:
                break
    assert [picture(part).shape for part in parts] == [(*SIZE, 3)] * 3
    assert np.abs(picture(parts[1]).astype(int) - moving_frames(2)[1]).mean() < 8
    until(lambda: served.service.viewers == 0)  # it is noticed that the client has gone


def test_a_stream_ends_with_its_session(served: Served, pushed: str) -> None:
    ended: list[bool] = []

    def watch() -> None:
        with served.client.stream("GET", f"/sessions/{pushed}/stream.mjpg") as response:
            for _ in response.iter_bytes():
                pass
        ended.append(True)

    thread = threading.Thread(target=watch)
    thread.start()
    until(lambda: served.service.viewers == 1)
    served.client.delete(f"/sessions/{pushed}")
    thread.join(10)
    assert ended == [True]


def test_head_of_a_stream_ends(served: Served, pushed: str) -> None:
    assert served.client.head(f"/sessions/{pushed}/stream.mjpg").status_code == 200


def test_metrics_are_prometheus_text(served: Served, pushed: str) -> None:
    response = served.client.get("/metrics")
    assert response.headers["content-type"].startswith("text/plain; version=0.0.4")
    line = re.compile(r'(# (HELP|TYPE) tdseg_\w+ .+|tdseg_\w+(\{(\w+="[^"\\\n]*",?)+\})? -?[\d.e+-]+)')
    lines = response.text.splitlines()
    assert all(line.fullmatch(one) for one in lines)
    assert f'tdseg_frames_total{{session="{pushed}"}} 1' in lines
    assert f'tdseg_session_state{{session="{pushed}",state="running"}} 1' in lines
    assert any(one.startswith(f'tdseg_age_ms{{session="{pushed}",quantile="0.99"}}') for one in lines)


def test_a_session_ends(served: Served) -> None:
    assert served.client.post("/sessions", json={"name": "short"}).status_code == 201
    assert is_error(served.client.post("/sessions", json={"name": "short"}), 409)
    assert served.client.delete("/sessions/short").status_code == 204
    assert is_error(served.client.delete("/sessions/short"), 404)
    assert "short" not in [session.name for session in served.sessions]


def test_many_end_a_session_at_once(served: Served) -> None:
    def end(name: str) -> int:
        status: int = served.client.delete(f"/sessions/{name}").status_code
        return status

    with ThreadPoolExecutor(8) as clients:
        for number in range(20):
            assert served.client.post("/sessions", json={"name": f"short{number}"}).status_code == 201
            assert set(clients.map(end, [f"short{number}"] * 8)) <= {204, 404}
    assert not served.service._opened.keys() & {f"short{number}" for number in range(20)}


def test_a_client_chooses_the_stride_of_its_source(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mp4", 9)
    with serving(allow=[str(tmp_path)]) as served:
        fields = {"name": "clip", "source": str(clip)}
        assert is_error(served.client.post("/sessions", json=fields | {"every": 0}), 422)
        assert served.client.post("/sessions", json=fields | {"every": 4}).status_code == 201
        until(lambda: (newest := served.sessions["clip"].newest()) and newest.time_s == pytest.approx(0.8))
        assert served.sessions["clip"].figures().frames <= 3


@pytest.mark.parametrize("rest", ["", "/stream.mjpg", "/snapshot.jpg", "/mask.png"])
def test_a_session_that_there_is_not(served: Served, rest: str) -> None:
    assert is_error(served.client.get(f"/sessions/nobody{rest}"), 404)


def test_no_picture_before_the_first_frame(served: Served) -> None:
    served.client.post("/sessions", json={"name": "waiting"})
    for rest in ("snapshot.jpg", "mask.png"):
        response = served.client.get(f"/sessions/waiting/{rest}")
        assert is_error(response, 503)
        assert response.headers["retry-after"] == "1"
    served.client.delete("/sessions/waiting")


NAMES = [
    None,
    3,
    "",
    " ",
    ".hidden",
    "a/b",
    "..",
    "<img src=x onerror=alert(1)>",
    'a"b',
    "a\nb",
    "a" * 65,
    "a\x00",
    ["a"],
]


@pytest.mark.parametrize("name", NAMES)
def test_names_that_are_none(served: Served, name: object) -> None:
    response = served.client.post("/sessions", json={"name": name})
    assert is_error(response, 422)
    assert response.headers["content-type"] == "application/json"


@pytest.mark.parametrize(
    ("content", "kind", "status"),
    [
        (b"{", "application/json", 422),
        (b"[]", "application/json", 422),
        (b"\xff\xfe", "application/json", 422),
        (b"[" * 60_000, "application/json", 422),
        (b'{"name": "a", "model": "x"}', "application/json", 422),
        (b'{"name": "a", "every": 2}', "application/json", 422),
        (b'{"name": "a", "source": "x", "every": "2"}', "application/json", 422),
        (b'{"name": "a", "source": "x", "every": true}', "application/json", 422),
        (b'{"name": "' + b"a" * 70_000 + b'"}', "application/json", 413),
        (b'{"name": "a"}', "text/plain", 415),
        (b'{"name": "a"}', "application/x-www-form-urlencoded", 415),
    ],
)
def test_bodies_that_are_refused(served: Served, content: bytes, kind: str, status: int) -> None:
    response = served.client.post("/sessions", content=content, headers={"Content-Type": kind})
    assert is_error(response, status)


def test_addresses_that_there_are_not(served: Served) -> None:
    assert is_error(served.client.get("/nothing"), 404)
    assert is_error(served.client.get("/sessions/"), 404)
    assert is_error(served.client.put("/sessions"), 405)
    assert is_error(served.client.post("/health"), 405)


def test_what_is_left_is_closed(tmp_path: Path) -> None:
    content = write_clip(tmp_path / "clip.mp4", 2).read_bytes()
    with serving(limits=Limits(idle_s=0.2, requests_per_s=10_000)) as served:
        served.client.post("/sessions", json={"name": "left"})
        assert served.client.put("/sessions/over", content=content).status_code == 201
        until(lambda: len(served.sessions) == 0)


def test_sessions_are_bounded() -> None:
    with serving(limits=Limits(most_sessions=1, requests_per_s=10_000)) as served:
        served.client.post("/sessions", json={"name": "one"})
        assert is_error(served.client.post("/sessions", json={"name": "other"}), 503)


def test_viewers_are_bounded() -> None:
    with serving(limits=Limits(most_viewers=1, requests_per_s=10_000)) as served:
        served.client.post("/sessions", json={"name": "one"})
        served.sessions["one"].push(moving_frames(1)[0])
        with served.client.stream("GET", "/sessions/one/stream.mjpg") as response:
            assert response.status_code == 200
            assert is_error(served.client.get("/sessions/one/stream.mjpg"), 503)
        until(lambda: served.service.viewers == 0)

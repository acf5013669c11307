"""Who may ask what: tokens, hosts, pages of others, and how often."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from websockets.exceptions import InvalidStatus

from support.serving import Served, is_error, receive, serving, until
from support.small import moving_frames
from tdseg.live.access import is_local
from tdseg.live.limits import MOST_ADDRESSES, Limits, RequestRate

TOKEN = "a-token-of-the-tests"
ADDRESSES = [
    ("GET", "/sessions"),
    ("POST", "/sessions"),
    ("GET", "/sessions/one"),
    ("PUT", "/sessions/new"),
    ("DELETE", "/sessions/one"),
    ("GET", "/sessions/one/stream.mjpg"),
    ("GET", "/sessions/one/snapshot.jpg"),
    ("GET", "/sessions/one/mask.png"),
    ("GET", "/metrics"),
    ("GET", "/nothing"),
    ("OPTIONS", "/sessions"),
]


def open_one(served: Served, **headers: str) -> None:
    assert served.client.post("/sessions", json={"name": "one"}, headers=headers).status_code == 201
    served.sessions["one"].push(moving_frames(1)[0])
    until(served.sessions["one"].newest)


@pytest.fixture(scope="module")
def local() -> Iterator[Served]:
    with serving() as served:
        open_one(served)
        yield served


@pytest.fixture(scope="module")
def closed() -> Iterator[Served]:
    """One that needs a token."""
    with serving(token=TOKEN) as served:
        open_one(served, Authorization=f"Bearer {TOKEN}")
        yield served


@pytest.mark.parametrize(("method", "address"), ADDRESSES)
@pytest.mark.parametrize("given", [None, "x", TOKEN[:-1], TOKEN + "x", "ä"])
def test_nothing_without_the_token(closed: Served, method: str, address: str, given: str | None) -> None:
    headers = [] if given is None else [(b"Authorization", f"Bearer {given}".encode())]
    response = closed.client.request(method, address, headers=headers)
    assert is_error(response, 401)
    assert response.headers["www-authenticate"] == "Bearer"
    assert TOKEN not in response.text
    assert is_error(closed.client.request(method, address, params={"token": given or ""}), 401)
    assert closed.sessions.get("one") is not None


@pytest.mark.parametrize("host", ["x/page/y?", "x/health?", "x/#", "/page/", "x:1/page/", "x/page/../"])
def test_no_host_leads_past_the_token(closed: Served, host: str) -> None:
    for address in ("/sessions", "/metrics", "/sessions/one/mask.png"):
        assert is_error(closed.client.get(address, headers={"Host": host}), 401)
    for address in ("/page/../sessions", "/health/../sessions", "//sessions", "/page//sessions", "/%2e/sessions"):
        response = closed.client.get(httpx.URL(f"http://127.0.0.1:{closed.port}").copy_with(raw_path=address.encode()))
        assert response.status_code in (401, 404)
        assert "sessions" not in response.json()


def test_what_tells_nothing_is_open(closed: Served) -> None:
    for address in ("/", "/health", "/page/app.js"):
        response = closed.client.get(address)
        assert response.status_code == 200
        assert TOKEN not in response.text


@pytest.mark.parametrize("address", ["/sessions", "/metrics", "/sessions/one/snapshot.jpg", "/sessions/one/mask.png"])
def test_with_the_token(closed: Served, address: str) -> None:
    assert closed.client.get(address, headers={"Authorization": f"Bearer {TOKEN}"}).status_code == 200
    assert closed.client.get(address, params={"token": TOKEN}).status_code == 200
    # Pages of others may show pictures, and a proxy may have any name.
    elsewhere = {"Host": "cameras.example.org", "Sec-Fetch-Site": "cross-site"}
    assert closed.client.get(address, params={"token": TOKEN}, headers=elsewhere).status_code == 200


def test_a_websocket_needs_the_token(closed: Served) -> None:
    for query in ("", "token=wrong"):
        with pytest.raises(InvalidStatus) as caught, closed.websocket("one", query):
            pass
        assert caught.value.response.status_code == 401
    with closed.websocket("one", f"token={TOKEN}") as connection:
        assert receive(connection, "result")["index"] == 0
    with closed.websocket("one", additional_headers={"Authorization": f"Bearer {TOKEN}"}) as connection:
        assert receive(connection, "result")["index"] == 0


HOSTS = [
    "evil.example",
    "localhost.evil.example",
    "127.0.0.1.nip.io",
    "192.168.0.1",
    "10.0.0.1:8000",
    "0.0.0.0",
    "[::]",
    "x",
]


@pytest.mark.parametrize(
    "host",
    [*HOSTS, "", "[", "127.0.0.1@evil.example:80", "127.0.0.1/@evil.example", "127.0.0.1?", "evil.example#127.0.0.1"],
)
def test_only_names_of_this_machine_without_a_token(local: Served, host: str) -> None:
    """A page of others, whose name resolves to here, must not read anything."""
    for address in ("/", "/health", "/sessions", "/sessions/one/snapshot.jpg"):
        assert is_error(local.client.get(address, headers={"Host": host}), 421)


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:8000", "127.0.0.1", "127.0.0.2:1", "[::1]:8000"])
def test_names_of_this_machine(local: Served, host: str) -> None:
    assert local.client.get("/sessions", headers={"Host": host}).status_code == 200


FOREIGN: list[dict[str, str]] = [
    {"Origin": "http://evil.example"},
    {"Origin": "null"},
    {"Origin": "http://127.0.0.1:1"},
    {"Origin": "http://["},
    {"Origin": ""},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
]


@pytest.mark.parametrize("headers", FOREIGN)
@pytest.mark.parametrize("is_closed", [False, True])
def test_pages_of_others_change_nothing(
    local: Served, closed: Served, headers: dict[str, str], is_closed: bool
) -> None:
    served, query = (closed, {"token": TOKEN}) if is_closed else (local, {})
    requests: list[tuple[str, str, dict[str, Any]]] = [
        ("POST", "/sessions", {"json": {"name": "theirs"}}),
        ("PUT", "/sessions/theirs", {"content": b"x"}),
        ("DELETE", "/sessions/one", {}),
    ]
    for method, address, body in requests:
        assert is_error(served.client.request(method, address, params=query, headers=headers, **body), 403)
    assert [session.name for session in served.sessions] == ["one"]
    origin = headers.get("Origin")
    more = {name: value for name, value in headers.items() if name != "Origin"}
    options = {"origin": origin, "additional_headers": more}
    with pytest.raises(InvalidStatus) as caught, served.websocket("one", f"token={TOKEN}", **options):
        pass
    assert caught.value.response.status_code == 403


@pytest.mark.parametrize("headers", FOREIGN)
def test_pages_of_others_read_nothing_without_a_token(local: Served, headers: dict[str, str]) -> None:
    for address in ("/sessions", "/metrics", "/sessions/one/snapshot.jpg", "/sessions/one/stream.mjpg"):
        assert is_error(local.client.get(address, headers=headers), 403)
    assert local.client.get("/", headers=headers).status_code == 200  # a link may lead here


def test_its_own_page_may_do_all(local: Served) -> None:
    origin = f"http://127.0.0.1:{local.port}"
    headers = {"Origin": origin, "Sec-Fetch-Site": "same-origin"}
    assert local.client.post("/sessions", json={"name": "mine"}, headers=headers).status_code == 201
    with local.websocket("one", origin=origin) as connection:
        assert receive(connection, "result")["index"] == 0
    assert local.client.delete("/sessions/mine", headers=headers).status_code == 204


def test_every_answer_has_its_headers(local: Served, closed: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InvalidStatus) as caught, local.websocket("nobody"):
        pass
    monkeypatch.delattr(local.service, "allowed")  # a fault of the server's own
    failed = local.client.post("/sessions", json={"name": "a", "source": "b"})
    assert is_error(failed, 500)
    assert caught.value.response.headers["content-security-policy"] == failed.headers["content-security-policy"]
    for response in (failed, local.client.get("/"), local.client.get("/nothing"), closed.client.get("/sessions")):
        assert response.headers["x-content-type-options"] == "nosniff"
        assert response.headers["x-frame-options"] == "DENY"
        assert response.headers["cache-control"] == "no-store"
        assert "script-src 'self'" in response.headers["content-security-policy"]
        assert "access-control-allow-origin" not in response.headers
        assert "server" not in response.headers


def test_too_many_requests() -> None:
    with serving(limits=Limits(requests_per_s=0.5)) as served:
        assert served.client.get("/health").status_code == 200
        response = served.client.get("/health")
        assert is_error(response, 429)
        assert response.headers["retry-after"] == "1"


def test_the_rate_is_that_of_an_address() -> None:
    rate = RequestRate(1e-6)
    assert [rate.take(address) for address in "aabba"] == [True, False, True, False, False]
    for number in range(MOST_ADDRESSES):  # whoever asks, the table stays small
        rate.take(str(number))
    assert len(rate._left) == MOST_ADDRESSES


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "[::1]", "localhost", "LocalHost"])
def test_local_hosts(host: str) -> None:
    assert is_local(host)


@pytest.mark.parametrize(
    "host", ["0.0.0.0", "::", "", "192.168.1.1", "localhost.example.org", "1.127.0.0", "::ffff:1.2.3.4"]
)
def test_hosts_that_others_reach(host: str) -> None:
    assert not is_local(host)

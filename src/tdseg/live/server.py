"""Many live sources by one network, over HTTP."""

from __future__ import annotations

import logging
import secrets
import signal
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

import uvicorn

from tdseg.errors import ConfigError
from tdseg.files import check_folder
from tdseg.inference.pipeline import DEFAULT_MODEL, default_output
from tdseg.inference.ready import warm_up
from tdseg.inference.stream import Stream
from tdseg.live.access import is_local
from tdseg.live.allowed import AllowedSources
from tdseg.live.connections import Connections
from tdseg.live.keeping import KeptOverlay
from tdseg.live.limits import Limits
from tdseg.live.refusal import RequestError
from tdseg.live.routes import application
from tdseg.live.service import ServedModel, Service, checked_name
from tdseg.live.sessions import Sessions
from tdseg.masks.palette import color_table
from tdseg.runtime.any_model import AnyModel
from tdseg.runtime.network import Execution
from tdseg.system import cpu_threads, keep_freed_memory, require
from tdseg.video import Excerpt
from tdseg.zoo.load import prepare

END_S = 3.0
"""What requests are given to end in when the server does, seconds."""
MOST_PORT = 65535
DIGITS = 12
MORE_CONNECTIONS = 128
"""Beside the viewers."""

_NO_NEWS = (
    "without completing handshake",
    "Invalid UTF-8",
    "timeout graceful shutdown exceeded",
    "CancelledError",
    "KeyboardInterrupt",
)


class Opening(NamedTuple):
    """A server that has begun to listen."""

    address: str
    """The page, such as http://127.0.0.1:8000/."""
    token: str | None
    """That was made for it; None: one was given, or none is needed."""


class LiveServer(uvicorn.Server):
    """Uvicorn with a service behind it, whose open streams end before it waits for them.

    Args:
        service: what it serves.
        token: that requests must have; None: none is needed.
    """

    def __init__(self, service: Service, token: str | None) -> None:
        limits = service.limits
        most = limits.most_viewers + MORE_CONNECTIONS
        config = uvicorn.Config(
            application(service, token),
            log_config=None,
            log_level="warning",
            access_log=False,  # addresses may hold the token
            proxy_headers=False,
            server_header=False,
            http="h11",  # these two whatever else is installed: see Connections
            ws="websockets-sansio",
            limit_concurrency=2 * most,
            ws_max_size=int(limits.most_frame_mb * 1e6),
            ws_per_message_deflate=False,
            timeout_graceful_shutdown=int(END_S),
        )
        super().__init__(config)
        logging.getLogger("uvicorn.error").addFilter(_is_news)
        self._service = service
        self._connections = Connections(self.server_state, most)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """As uvicorn, which forgets SIGHUP: that of a terminal that is closed."""
        number = getattr(signal, "SIGHUP", None)
        with super().capture_signals():
            if number is None or threading.current_thread() is not threading.main_thread():
                yield
                return
            before = signal.getsignal(number)
            if before is not signal.SIG_IGN:  # as under nohup
                signal.signal(number, self.handle_exit)
            try:
                yield
            finally:
                signal.signal(number, before)

    async def on_tick(self, counter: int) -> bool:
        """As uvicorn, ten times a second: see to the connections, then whether it is to end."""
        self._connections.look()
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End what is open, then as uvicorn does."""
        self._service.stopping = True
        self._connections.end_bodies()
        await super().shutdown(sockets)


def serve(
    *,
    source: Sequence[str] = (),
    every: Sequence[str] = (),
    model: str | Path | AnyModel = DEFAULT_MODEL,
    memory: int | None = None,
    size: tuple[int, int] | None = None,
    execution: Execution = Execution(),  # noqa: B008 - immutable
    workers: int = 1,
    host: str = "127.0.0.1",
    port: int = 8000,
    token: str | None = None,
    allow: Sequence[str] = (),
    record: Path | None = None,
    limits: Limits = Limits(),  # noqa: B008 - immutable
    on_start: Callable[[Opening], None] | None = None,
) -> None:
    """Segment live sources for browsers and programs, until the process is interrupted.

    The page is at /; what else there is, and how to use it, in docs/serve.md.

    Args:
        source: NAME=SOURCE, a camera, URL, file or folder of frames that is served from the start; give it once for
            each. Without NAME= it is called after the source.
        every: of the frames of the sources named here, take the first and then every so-many-th: N for all of them,
            NAME=N for one; give it as often as you like.
        model: name of packaged weights (see `tdseg models`), a file of weights, or an exported folder; of others, a
            model of Hugging Face, as hf://org/name or its folder, or an ONNX file.
        memory: frames that a per-frame network is to remember, 2 … 16, or 0 for none; None: 4 for networks of others,
            none for ours.
        size: (height, width) of the network's input, pixels; None: the model's own or, where frames have another shape
            and the network takes any, as many pixels in their shape.
        execution: where and how the network runs.
        workers: frames of different sources that are computed at once.
        host: address to listen at; any other than one of this machine alone needs a token.
        port: to listen at; 0: one that is free.
        token: that requests must have; None: one is made and printed, but for an address of this machine alone, where
            none is needed.
        allow: source that clients may open: a URL with all that is below it, a file or folder, or the index of a
            camera; give it once for each. None is allowed by itself, but clients may upload videos and push frames.
        record: folder in which the overlays of the sources named here are kept, NAME.mp4; a file appears when its
            source or the server ends.
        limits: of what clients may take.
        on_start: called when it listens.

    Raises:
        ConfigError: an option, or an address that cannot be listened at.
        VideoError, WeightsError: a source or the model cannot be opened.
        OutputError: a file to be kept exists, or cannot be written.
    """
    require("websockets", extra="serve")
    allowed, sources = AllowedSources(allow), [_named(text) for text in source]
    strides = strides_of(every, [name for name, _ in sources])
    made = None if token is not None or is_local(host) else secrets.token_urlsafe(24)
    if token is not None and not (token.isascii() and token.isprintable() and token.strip() == token != ""):
        raise ConfigError(
            "a token of odd characters", expected="letters, digits and marks", do="choose another --token"
        )
    if record:
        check_folder(record)
    keep_freed_memory()
    with _listening(host, port) as listener, cpu_threads(execution.threads):
        network = prepare(model, execution, memory=memory, size=size, any_shape=True)
        warm_up(Stream(network, size))
        name = str(model) if isinstance(model, str | Path) else network.config.name
        about = ServedModel(name, network.config.class_names, color_table(network.config.palette))
        with ExitStack() as ending:
            sessions = ending.enter_context(Sessions(network, size=size, workers=workers, most=limits.most_sessions))
            for name, one in sources:
                session = sessions.open(name, one, every=strides[name])
                if record:
                    ending.callback(KeptOverlay(session, record / f"{name}.mp4").stop)
            service = Service(sessions, about, allowed, limits)
            ending.callback(service.stop)
            if on_start:
                on_start(Opening(_address(host, listener.getsockname()[1]), made))
            LiveServer(service, token or made).run([listener])


def _is_news(record: logging.LogRecord) -> bool:
    """Whether a line of uvicorn tells of a mistake.

    It takes for one, too: a WebSocket that is refused, text that is no UTF-8, and what the end of the server cuts off.
    """
    said = record.getMessage() + (record.exc_info[0].__name__ if record.exc_info and record.exc_info[0] else "")
    return not any(words in said for words in _NO_NEWS)


def _named(text: str) -> tuple[str, str]:
    """Name and source of an option.

    Raises:
        ConfigError: a name that cannot be one.
    """
    name, mark, rest = text.partition("=")
    if not mark or "/" in name:
        name, rest = default_output(text).name, text
    try:
        return checked_name(name), rest
    except RequestError as refusal:
        raise ConfigError(
            f"--source {text}: {refusal.got}", expected=refusal.expected, do="write NAME=SOURCE"
        ) from None


def strides_of(every: Sequence[str], names: Sequence[str]) -> dict[str, int]:
    """Of which source every so-many-th frame is taken.

    Raises:
        ConfigError: no number, or a source that there is not.
    """
    strides = dict.fromkeys(names, 1)
    for text in sorted(every, key=lambda text: "=" in text):  # what is said of one goes before what is said of all
        name, mark, number = text.rpartition("=")
        if (mark and name not in strides) or not (number.isascii() and number.isdecimal() and len(number) < DIGITS):
            raise ConfigError(
                f"--every {text}",
                expected=f"N or NAME=N, a number and the name of a --source: {', '.join(names) or 'there is none'}",
                do="write it as in --every 2 --every door=5",
            )
        strides.update(dict.fromkeys([name] if mark else names, Excerpt(every=int(number)).every))
    return strides


@contextmanager
def _listening(host: str, port: int) -> Iterator[socket.socket]:
    """A socket at an address.

    Raises:
        ConfigError: it cannot be had.
    """
    try:
        if not 0 <= port <= MOST_PORT:  # which the system would take modulo this
            raise OverflowError(f"a port is 0 … {MOST_PORT}")
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.create_server(address[:2], family=family, backlog=128)
    except (OSError, OverflowError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise ConfigError(
            f"--host {host} --port {port}: {why}",
            expected="an address of this machine, and a port that is free",
            do="choose another --port, or 0 for any that is free",
        ) from None
    with listener:
        yield listener


def _address(host: str, port: int) -> str:
    """The page, as a browser asks for it."""
    shown = socket.gethostname() if host in ("", "0.0.0.0", "::") else host
    return f"http://[{shown}]:{port}/" if ":" in shown else f"http://{shown}:{port}/"

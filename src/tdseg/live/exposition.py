"""Figures of the sessions as Prometheus reads them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from tdseg.live.session import Session

KIND = "text/plain; version=0.0.4; charset=utf-8"
STATES = ("opening", "running", "stalled", "reconnecting", "ended", "failed")
_COUNTS = {
    "frames": "Frames that were segmented.",
    "skipped": "Frames that a newer one took the place of.",
    "reconnects": "Times a source was opened again.",
    "cuts": "Cuts and gaps after which the memory began anew.",
}
_SPANS = {
    "age_ms": "Age of a frame when its mask was ready, from its capture or arrival, milliseconds.",
    "latency_ms": "From a frame handed to the network until its mask was there, milliseconds.",
}


def exposition(sessions: Iterable[Session], *, viewers: int, refused: Mapping[int, int]) -> str:
    """All figures, in the text format.

    Args:
        sessions: whose.
        viewers: streams and WebSockets that are open.
        refused: requests that were not granted, by status.
    """
    lines: list[str] = []
    shown = [(session, session.figures()) for session in sessions]
    lines += _family("sessions", "gauge", "Sessions that are open.", [({}, len(shown))])
    lines += _family("viewers", "gauge", "Streams and WebSockets that are open.", [({}, viewers)])
    codes = [({"status": str(status)}, count) for status, count in sorted(refused.items())]
    lines += _family("refused_total", "counter", "Requests that were refused at the door.", codes)
    states = [
        ({"session": session.name, "state": state}, int(session.state == state))
        for session, _ in shown
        for state in STATES
    ]
    lines += _family("session_state", "gauge", "1 for the state that a session is in.", states)
    for name, text in _COUNTS.items():
        values = [({"session": session.name}, getattr(figures, name)) for session, figures in shown]
        lines += _family(f"{name}_total", "counter", text, values)
    fps = [({"session": session.name}, figures.fps) for session, figures in shown]
    lines += _family("fps", "gauge", "Results a second, of the last seconds.", fps)
    for name, text in _SPANS.items():
        spans = [
            ({"session": session.name, "quantile": "1" if key == "max" else f"0.{key[1:]}"}, value)
            for session, figures in shown
            for key, value in (getattr(figures, name) or {}).items()
        ]
        lines += _family(name, "gauge", text, spans)
    return "\n".join(lines) + "\n"


def _family(name: str, kind: str, text: str, values: Sequence[tuple[dict[str, str], float]]) -> list[str]:
    head = [f"# HELP tdseg_{name} {text}", f"# TYPE tdseg_{name} {kind}"]
    return [*head, *(f"tdseg_{name}{_labels(labels)} {value:.12g}" for labels, value in values)]


def _labels(labels: dict[str, str]) -> str:
    if not labels:
        return ""
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items()) + "}"


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")

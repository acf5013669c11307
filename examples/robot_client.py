"""A robot's side of `tdseg serve`: frames out over a WebSocket, what is in them back. It needs neither torch nor tdseg.

pip install av pillow websockets
tdseg serve
python examples/robot_client.py drive.mp4 --address http://127.0.0.1:8000 --token TOKEN

It sends the frames of a video, or of a camera such as /dev/video0, at their pace. The server segments the newest one
that it has, so a slow network skips frames, and what comes back is never old.
"""

from __future__ import annotations

import argparse
import io
import json
import sys
import threading
import time
from urllib.error import HTTPError
from urllib.parse import quote, urlencode
from urllib.request import Request, urlopen

import av
from PIL import Image
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect


def ask(method: str, url: str, token: str, body: dict[str, str] | None = None) -> None:
    """A request to the server.

    Raises:
        SystemExit: it is refused; the server says why, and what to do.
    """
    headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {})
    request = Request(url, json.dumps(body).encode() if body else None, headers, method=method)
    try:
        urlopen(request, timeout=20).close()
    except HTTPError as error:
        told = json.load(error)
        raise SystemExit(f"{told['got']}\n  expected: {told['expected']}\n  do this:  {told['do']}") from None


def send_frames(connection: ClientConnection, source: str) -> None:
    """Send each frame as JPEG when it is its time, and before it the time, seconds."""
    begun = time.monotonic()
    with av.open(source) as container:
        for frame in container.decode(video=0):
            time_s = float(frame.time or 0.0)
            time.sleep(max(0.0, begun + time_s - time.monotonic()))
            file = io.BytesIO()
            Image.fromarray(frame.to_ndarray(format="rgb24")).save(file, "JPEG", quality=85)
            connection.send(json.dumps({"time_s": time_s}))
            connection.send(file.getvalue())


def print_results(connection: ClientConnection) -> None:
    """Print a line for each result: its time, its age, and the classes that cover most."""
    try:
        for text in connection:
            message = json.loads(text)
            if message["type"] == "result":
                most = [f"{name} {share:.0%}" for name, share in list(message["shares"].items())[:4]]
                print(f"{message['time_s']:7.2f} s  age {message['age_ms']:6.0f} ms  {'  '.join(most)}", flush=True)
            elif message["type"] == "error":
                print(f"refused: {message['got']}; {message['do']}", file=sys.stderr)
    except ConnectionClosed:
        pass


def main() -> None:
    """Open a session, send frames, print results, and end the session."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source", help="video file, or camera such as /dev/video0")
    parser.add_argument("--address", default="http://127.0.0.1:8000", help="of the server")
    parser.add_argument("--token", default="", help="that the server printed, if it did")
    parser.add_argument("--name", default="robot", help="of the session")
    options = parser.parse_args()
    address, session = options.address.rstrip("/"), f"/sessions/{quote(options.name)}"
    ask("POST", f"{address}/sessions", options.token, {"name": options.name})
    try:
        # Masks as run lengths of each class come with mask=rle, as PNG with mask=png; shares need none.
        query = urlencode({"mask": "none"} | ({"token": options.token} if options.token else {}))
        with connect(f"{address.replace('http', 'ws', 1)}{session}/ws?{query}") as connection:
            printer = threading.Thread(target=print_results, args=(connection,))
            printer.start()
            send_frames(connection, options.source)
            time.sleep(1.0)  # for the last results
            connection.close()
            printer.join()
    finally:
        ask("DELETE", f"{address}{session}", options.token)


if __name__ == "__main__":
    main()

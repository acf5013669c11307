"""`python -m tdseg.live.probe FILE`: whether a file holds a video, found out where it can harm nobody.

A few bytes of an index may claim more pictures than fit into any memory. FFmpeg makes room for them when it opens the
file, or opens it without them where there is no room. So a process of its own does that first, and sees what it took.
"""

from __future__ import annotations

import re
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from tdseg.errors import VideoError
from tdseg.video.container import open_input, video_stream

MOST_BYTES = 1 << 30
"""Of memory that opening may take. The process gets four times of that, so that it sees where more is wanted."""
MOST_S = 30.0
"""That opening may take, seconds."""


def holds_video(path: Path) -> bool:
    """Whether a file can be opened within bounds, and holds a video itself: it is no list of addresses."""
    with suppress(subprocess.TimeoutExpired):
        line = [sys.executable, "-P", "-m", __name__, str(path)]
        return subprocess.run(line, capture_output=True, timeout=MOST_S, check=False).returncode == 0
    return False


def _main(path: str) -> int:
    before = _address_space()
    if before:
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (before + 4 * MOST_BYTES, before + 4 * MOST_BYTES))
        Path("/proc/self/oom_score_adj").write_text("1000")  # where memory is short, this one goes, not the server
    with suppress(VideoError, MemoryError), open_input("upload", f"file:{path}", alone=True) as container:
        is_small = _address_space() - before <= MOST_BYTES
        return 0 if is_small and video_stream(container) is not None else 1
    return 1


def _address_space() -> int:
    """The most that this process had so far, bytes; 0 where the system does not tell."""
    with suppress(OSError):
        found = re.search(r"VmPeak:\s*(\d+) kB", Path("/proc/self/status").read_text())
        return int(found[1]) << 10 if found else 0
    return 0


if __name__ == "__main__":
    sys.exit(_main(sys.argv[1]))

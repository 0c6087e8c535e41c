"""Many viewers of the live view in one cheap process: it reads a JSON description from its input and says what they got.

Knows just as much of WebSockets as it takes, so that hundreds of viewers cost little beside the server that is measured.
It prints ``began`` when measuring begins, and at the end one line of JSON.
"""

import json
import re
import select
import socket
import sys
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from typing import Any

from tests.raw_socket import BINARY, READ_BYTES, TEXT, RawSocket

FRAME = re.compile(
    rb'"type":"frame","camera":"([^"]+)","seq":(\d+),"captured_at":"([^"]+)".*?"tier":"([^"]+)"', re.DOTALL
)
HEADER_BYTES = 400  # in which a frame's key is found
SLOW_BUFFER_BYTES = 8192  # a throttled viewer's own, so that what is on its way to it waits at the server
SLOW_EVERY_S = 0.01


@dataclass(slots=True)
class Got:
    """What one viewer got.

    Attributes:
        at_s: when each frame came, in monotonic seconds, by camera.
        ages_ms: of all frames as they came.
        tiers: when each frame came and in which tier, for who is throttled.
    """

    at_s: dict[bytes, list[float]] = field(default_factory=lambda: defaultdict(list))
    ages_ms: list[float] = field(default_factory=list)
    frame_bytes: int = 0
    bytes: int = 0
    texts: int = 0
    tiers: list[tuple[float, float, str]] = field(default_factory=list)


class Viewer:
    """One viewer, who acknowledges every frame as it comes; ``bytes_per_s`` bounds what they read, None for no bound."""

    def __init__(self, port: int, slug: str, cookie: str, subscribe: Mapping[str, Any] | None) -> None:
        self.got = Got()
        self.bytes_per_s: float | None = None
        self.allowance = 0.0
        self.connection = RawSocket(port, f"/ws/environments/{slug}/live/", cookie=cookie)
        if subscribe:
            self.connection.say({"type": "subscribe", **subscribe})

    def slow_down(self, bytes_per_s: float) -> None:
        """Read no more than so much from now on."""
        self.bytes_per_s, self.allowance = bytes_per_s, 0.0
        self.connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SLOW_BUFFER_BYTES)

    def read(self, most: int = READ_BYTES) -> int:
        """Take in what has come, and give the number of bytes."""
        before = self.connection.received_bytes
        now_s, wall_s = time.monotonic(), time.time()
        for opcode, payload in self.connection.read(most):
            found = FRAME.search(payload, 0, HEADER_BYTES)
            if found is None:
                self.got.texts += 1
                continue
            self._note(found, len(payload), now_s, wall_s)
            if opcode == BINARY:
                ack = b'{"type":"ack","camera":"%b","seq":%d}' % (found[1], int(found[2]))
                self.connection.send(TEXT, ack)
        taken = self.connection.received_bytes - before
        self.got.bytes += taken
        return taken

    def _note(self, found: "re.Match[bytes]", length: int, now_s: float, wall_s: float) -> None:
        age_ms = (wall_s - datetime.fromisoformat(found[3].decode()).timestamp()) * 1e3
        got = self.got
        got.at_s[found[1]].append(now_s)
        got.ages_ms.append(age_ms)
        got.frame_bytes += length
        if self.bytes_per_s is not None:
            got.tiers.append((now_s, age_ms, found[4].decode()))


def main() -> None:
    """Connect, warm up, measure, report."""
    wish = json.loads(sys.stdin.readline())
    viewers = [
        Viewer(wish["port"], wish["slug"], cookie, wish["subscribe"])
        for cookie in wish["cookies"][: wish["viewers"]]
    ]
    _read_all(viewers, wish["warm_up_s"])
    for viewer in viewers:
        viewer.got = Got()
    print("began", flush=True)
    began_s, cpu_s = time.monotonic(), time.process_time()
    slow = viewers[: wish.get("slow", 0)]
    if slow:
        _read_all(viewers, wish["slow_after_s"])
        for viewer in slow:
            viewer.slow_down(wish["slow_bytes_per_s"])
    slow_since_s = time.monotonic()
    _read_all(viewers, wish["seconds"] - (slow_since_s - began_s))
    elapsed_s = time.monotonic() - began_s
    report = _report(viewers[len(slow) :], elapsed_s)
    report["viewers_cores"] = round((time.process_time() - cpu_s) / elapsed_s, 3)
    report["slow"] = [
        [(at_s - slow_since_s, age_ms, tier) for at_s, age_ms, tier in v.got.tiers] for v in slow
    ]
    print(json.dumps(report), flush=True)


def _read_all(viewers: Sequence[Viewer], seconds: float) -> None:
    """Let all read for a while."""
    poll = select.epoll()
    by_file = {}
    for viewer in viewers:
        if viewer.bytes_per_s is None:
            poll.register(viewer.connection.socket.fileno(), select.EPOLLIN)
            by_file[viewer.connection.socket.fileno()] = viewer
    slow = [viewer for viewer in viewers if viewer.bytes_per_s is not None]
    now_s = slow_s = time.monotonic()
    end_s = now_s + seconds
    while now_s < end_s:
        for number, _ in poll.poll(min(end_s - now_s, SLOW_EVERY_S if slow else 1.0)):
            by_file[number].read()
            if by_file[number].connection.code is not None:
                raise SystemExit(f"a viewer lost the connection: {by_file[number].connection.code}")
        now_s = time.monotonic()
        if now_s - slow_s >= SLOW_EVERY_S:
            for viewer in slow:
                # what was not used is lost, as on a line
                viewer.allowance = min(viewer.allowance, 0.0) + (viewer.bytes_per_s or 0.0) * (now_s - slow_s)
                if viewer.allowance >= 1:
                    viewer.allowance -= viewer.read(int(viewer.allowance))
            slow_s = now_s
    poll.close()


def _report(viewers: Sequence[Viewer], elapsed_s: float) -> dict[str, Any]:
    ages_ms = sorted(age for viewer in viewers for age in viewer.got.ages_ms)
    rates = [len(times) / elapsed_s for viewer in viewers for times in viewer.got.at_s.values()]
    gaps_s = [
        later - earlier
        for viewer in viewers
        for times in viewer.got.at_s.values()
        for earlier, later in pairwise(times)
    ]
    frames = len(ages_ms)
    return {
        "viewers": len(viewers),
        "seconds": round(elapsed_s, 1),
        "frames": frames,
        "frames_per_s": round(frames / elapsed_s, 1),
        "texts": sum(viewer.got.texts for viewer in viewers),
        "kB_a_frame": round(sum(v.got.frame_bytes for v in viewers) / max(frames, 1) / 1e3, 2),
        "mbit_per_s": round(sum(v.got.bytes for v in viewers) * 8e-6 / elapsed_s, 1),
        "capture_to_socket_ms": {
            f"p{share}": round(ages_ms[min(frames * share // 100, frames - 1)], 1) for share in (50, 95, 99)
        }
        if frames
        else {},
        "least_fps_of_a_tile": round(min(rates, default=0.0), 2),
        "most_fps_of_a_tile": round(max(rates, default=0.0), 2),
        "tiles": len(rates),
        "longest_gap_ms": round(1e3 * max(gaps_s, default=0.0)),
    }


if __name__ == "__main__":
    main()

"""A small RTSP camera on this machine, for tests: MPEG-4 pictures over interleaved TCP."""

import socketserver
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from fractions import Fraction
from typing import Any

import av
import numpy as np

PAYLOAD_TYPE, CLOCK_HZ = 96, 90_000
SDP = (
    "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=camera\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
    f"m=video 0 RTP/AVP {PAYLOAD_TYPE}\r\na=rtpmap:{PAYLOAD_TYPE} MP4V-ES/{CLOCK_HZ}\r\na=control:track1\r\n"
)


class RtspCamera(socketserver.BaseRequestHandler):
    """Plays ``pictures`` to each client, ``step_s`` apart, then keeps the line open without a word."""

    pictures: list[bytes]
    step_s: float
    sent_s: list[float]
    over: threading.Event
    behind_s: float | None

    def handle(self) -> None:
        """Answer requests until the client wants to play."""
        file = self.request.makefile("rb")
        while lines := _request(file):
            method, number = lines[0].split()[0], _header(lines, "CSeq")
            head, body = f"RTSP/1.0 200 OK\r\nCSeq: {number}\r\nSession: 7\r\n", ""
            if method == "DESCRIBE":
                body = SDP
                head += f"Content-Type: application/sdp\r\nContent-Length: {len(SDP)}\r\n"
            elif method == "SETUP":
                head += "Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n"
            elif method == "OPTIONS":
                head += "Public: DESCRIBE, SETUP, PLAY, TEARDOWN\r\n"
            self.request.sendall(f"{head}\r\n{body}".encode())
            if method == "PLAY":
                with suppress(OSError):  # the client leaves when it has seen enough
                    self._play()
                return

    def _play(self) -> None:
        start_s = time.monotonic()
        if self.behind_s is not None:
            self.request.sendall(_report(time.time() - self.behind_s))
        for number, picture in enumerate(self.pictures):
            stamp = round(number * self.step_s * CLOCK_HZ)
            packet = struct.pack("!BBHII", 0x80, 0x80 | PAYLOAD_TYPE, number, stamp, 1) + picture
            self.sent_s.append(time.time())
            self.request.sendall(struct.pack("!cBH", b"$", 0, len(packet)) + packet)
            self.over.wait(max(0.0, start_s + (number + 1) * self.step_s - time.monotonic()))
        self.over.wait(20)


@contextmanager
def rtsp_camera(
    greys: list[int], *, step_s: float, behind_s: float | None = None
) -> Iterator[tuple[str, list[float]]]:
    """Run a camera that shows grey pictures; gives its address, and when it sent each picture.

    With ``behind_s`` it reports its clock, which is so much behind ours.
    """
    over = threading.Event()
    settings: dict[str, Any] = {"pictures": _encoded(greys), "step_s": step_s, "over": over, "sent_s": []}
    settings["behind_s"] = behind_s
    handler = type("Handler", (RtspCamera,), settings)
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        address = f"rtsp://operator:s3cret@127.0.0.1:{server.server_address[1]}/stream"
        yield address, settings["sent_s"]
        over.set()
        server.shutdown()
        thread.join()


def _report(at_s: float) -> bytes:
    """Give a sender report for the first picture's time stamp on the line's control channel; RFC 3550, 6.4.1."""
    ntp_s = at_s + 2_208_988_800
    fraction = int(ntp_s % 1 * 2**32)
    report = struct.pack("!BBHIIIIII", 0x80, 200, 6, 1, int(ntp_s), fraction, 0, 0, 0)
    return struct.pack("!cBH", b"$", 1, len(report)) + report


def _request(file) -> list[str]:
    lines: list[str] = []
    while line := file.readline().strip():
        lines.append(line.decode())
    return lines


def _header(lines: list[str], name: str) -> str:
    return next(line.split(":", 1)[1].strip() for line in lines if line.startswith(f"{name}:"))


def _encoded(greys: list[int]) -> list[bytes]:
    codec = av.VideoCodecContext.create("mpeg4", "w")
    codec.width, codec.height, codec.pix_fmt = 64, 48, "yuv420p"
    codec.time_base, codec.gop_size = Fraction(1, 25), 1
    packets: list[bytes] = []
    for grey in greys:
        picture = av.VideoFrame.from_ndarray(np.full((48, 64, 3), grey, np.uint8), format="bgr24")
        packets += [bytes(packet) for packet in codec.encode(picture)]
    return packets + [bytes(packet) for packet in codec.encode(None)]

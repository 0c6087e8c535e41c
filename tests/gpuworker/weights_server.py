"""A server of files on this machine that resumes, and can be told to misbehave."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class WeightsServer:
    """What the server gives.

    Attributes:
        content: of its only file.
        url: of it.
        asked: the ranges that were asked for, None for all.
        cut_after: bytes of an answer after which the connection ends, None for never.
        status: answers this instead, with nothing.
        resumes: False ignores what range is asked for.
    """

    content: bytes
    url: str = ""
    asked: list[str | None] = field(default_factory=list)
    cut_after: int | None = None
    status: int | None = None
    resumes: bool = True


@contextmanager
def weights_server(content: bytes) -> Iterator[WeightsServer]:
    """Serve a file until the end of the block."""
    served = WeightsServer(content)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            wanted = self.headers.get("Range")
            served.asked.append(wanted)
            if served.status is not None:
                self.send_error(served.status)
                return
            start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted and served.resumes else 0
            if wanted and served.resumes and start >= len(served.content):
                self.send_error(416)
                return
            part = served.content[start:]
            self.send_response(206 if start else 200)
            self.send_header("Content-Length", str(len(part)))
            self.end_headers()
            self.wfile.write(part[: served.cut_after])

        def log_message(self, *args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    served.url = f"http://127.0.0.1:{server.server_port}/weights.onnx"
    try:
        yield served
    finally:
        server.shutdown()
        server.server_close()

"""Video files and streams, made by the test itself and served from this machine."""

import http.server
import socket
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from gpuworker.pipeline.seams import EndOfSource, Source, SourceError, UnusableSourceError
from gpuworker.pipeline.values import Frame
from gpuworker.sources import open_source
from gpuworker.sources.reader import CameraReader
from gpuworker.sources.sim.worlds import Worlds
from tests.gpuworker.sources.rtsp_camera import rtsp_camera

START = datetime(2026, 1, 1, tzinfo=UTC)
FPS, FRAMES = 10, 12
SECRET = "s3cret"


def grey(index: int) -> int:
    return min(30 + 15 * index, 255)


def write_video(path: Path, frames: int = FRAMES, **options: str) -> Path:
    with av.open(str(path), "w", options=options) as container:
        stream = container.add_stream("mpeg4", rate=FPS)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.codec_context.gop_size = 4
        for index in range(frames):
            picture = av.VideoFrame.from_ndarray(np.full((48, 64, 3), grey(index), np.uint8), format="bgr24")
            container.mux(stream.encode(picture))
        container.mux(stream.encode())
    return path


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_video(tmp_path_factory.mktemp("video") / "hall.mp4")


def opened(url: str, started_at: datetime = START, *, paced: bool = False) -> Source:
    return open_source(url, camera_id="c1", started_at=started_at, worlds=Worlds(), paced=paced)


def read(source: Source) -> Frame:
    deadline = time.monotonic() + 20
    while (frame := source.read()) is None:
        assert time.monotonic() < deadline
    return frame


def drain(source: Source) -> None:
    """Read to the end, whose error is raised; the reader never goes past a bound."""
    for _ in range(1000):
        source.read()
    raise AssertionError("the source has no end")


def since(frame: Frame, started_at: datetime = START) -> float:
    return round((frame.captured_at - started_at).total_seconds(), 3)


def brightness(frame: Frame) -> int:
    return round((float(frame.image.mean()) - 30) / 15)


@pytest.mark.parametrize("form", ["{}", "file://{}"])
def test_file_is_read_in_order_with_its_times(video, form):
    source = opened(form.format(video))
    frames = [read(source) for _ in range(FRAMES)]
    assert [f.seq for f in frames] == list(range(FRAMES))
    assert [since(f) for f in frames] == [i / FPS for i in range(FRAMES)]
    assert [brightness(f) for f in frames] == list(range(FRAMES))
    assert frames[0].image.shape == (48, 64, 3)
    with pytest.raises(EndOfSource, match="is over"):
        source.read()
    source.close()
    source.close()


def test_looped_file_keeps_the_time_of_the_loop(video):
    source = opened(f"{video}?loop=2")  # 0.8 s longer than the video: the cameras of a scene stay in step
    frames = [read(source) for _ in range(FRAMES * 2 + 1)]
    assert [since(f) for f in frames[FRAMES - 1 : FRAMES + 2]] == [1.1, 2.0, 2.1]
    assert since(frames[-1]) == 4.0
    assert [brightness(f) for f in frames[FRAMES:]] == [*range(FRAMES), 0]


def test_loop_shorter_than_the_file_cuts_it(video):
    source = opened(f"file://{video}?loop=0.5")
    frames = [read(source) for _ in range(7)]
    assert [since(f) for f in frames] == [0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6]
    assert [brightness(f) for f in frames] == [0, 1, 2, 3, 4, 0, 1]


def test_late_joiner_begins_at_the_present_moment(video):
    started_at = datetime.now(UTC) - timedelta(seconds=200.6)
    source = opened(f"{video}?loop=2", started_at, paced=True)
    frame = read(source)
    assert 200.5 <= since(frame, started_at) <= 203.0
    assert since(frame, started_at) == pytest.approx(200 + brightness(frame) / FPS, abs=2.05)
    assert source.live


def test_paced_file_is_not_read_ahead(video):
    source = opened(str(video), datetime.now(UTC), paced=True)
    frames = [read(source) for _ in range(4)]
    assert all(f.captured_at <= datetime.now(UTC) for f in frames)
    begin = time.monotonic()
    source.close()
    assert time.monotonic() - begin < 1


def test_paced_file_whose_time_has_not_come_gives_none(video, monkeypatch):
    monkeypatch.setattr("gpuworker.sources.pace.LONGEST_WAIT_S", 0.01)
    source = opened(str(video), datetime.now(UTC) + timedelta(hours=1), paced=True)
    assert source.read() is None
    assert source.read() is None


def test_overdue_frames_are_left_out(video, monkeypatch):
    source = opened(f"{video}?loop=100", datetime.now(UTC), paced=True)
    assert brightness(read(source)) == 0
    monkeypatch.setattr(source._pace, "elapsed_s", lambda: 1.55)  # type: ignore[attr-defined]
    frame = read(source)
    assert brightness(frame) == 11  # due 0.45 s ago: the first that is not half a second late
    assert frame.seq == 11


def test_recording_that_is_long_over_ends_at_once(video):
    source = opened(str(video), datetime.now(UTC) - timedelta(hours=1), paced=True)
    with pytest.raises(EndOfSource, match="is over"):
        source.read()


def test_file_cut_off_in_the_middle_says_so(tmp_path):
    whole = write_video(tmp_path / "whole.mp4", 40, movflags="faststart").read_bytes()
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(whole[: len(whole) * 2 // 3])
    source = opened(str(cut))
    with pytest.raises(EndOfSource, match=r"breaks off after [12]\.\d of 4\.0 s: it is cut off"):
        drain(source)


def test_file_cut_off_before_its_index_cannot_be_opened(tmp_path, video):
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(video.read_bytes()[:200])
    with pytest.raises(UnusableSourceError, match="cut off or still being written"):
        opened(str(cut))


def test_broken_packets_are_left_out_and_counted(tmp_path):
    path = write_video(tmp_path / "broken.avi", 40)
    data = bytearray(path.read_bytes())
    with av.open(str(path)) as container:
        packet = [p for p in container.demux() if p.size][21]
        position, size = packet.pos, packet.size
    assert position is not None
    data[position : position + size] = bytes(size)  # the header of the picture is gone
    path.write_bytes(data)
    source = opened(str(path))
    frames = [read(source) for _ in range(30)]
    assert since(frames[-1]) > 2.9  # one of the first thirty is missing
    with pytest.raises(EndOfSource, match="is over"):
        drain(source)
    assert source.decoder.broken >= 1  # type: ignore[attr-defined]


def test_file_without_pictures_is_refused(tmp_path):
    path = tmp_path / "sound.wav"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000, layout="mono")
        sound = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), layout="mono")
        sound.sample_rate = 8000
        container.mux(stream.encode(sound))
    with pytest.raises(UnusableSourceError, match="holds no video"):
        opened(str(path))


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("/no/such/file.mp4", "no such file"),
        ("file://server/a.mp4", "three slashes"),
        ("ftp://host/a.mp4", "expected a path or an address with one of rtsp://, rtsps://, http://"),
        ("", "no address"),
        ("rtsp://", "names no host"),
        ("http://[::1/x", "is not an address"),
        (__file__, "not a video that can be read"),
    ],
)
def test_wrong_addresses_say_what_is_wrong(url, message):
    with pytest.raises(UnusableSourceError, match=message):
        opened(url)


def test_naive_start_is_refused():
    with pytest.raises(ValueError, match="aware"):
        opened("/a.mp4", datetime(2026, 1, 1))  # noqa: DTZ001 - on purpose


@pytest.mark.parametrize("scheme", ["rtsp", "http"])
def test_unreachable_camera_says_so_quickly_and_keeps_the_password(scheme):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    begin = time.monotonic()
    with pytest.raises(SourceError, match="refused the connection: check host and port") as caught:
        opened(f"{scheme}://admin:{SECRET}@127.0.0.1:{port}/stream")
    assert time.monotonic() - begin < 3
    assert SECRET not in "".join(traceback.format_exception(caught.value))
    assert not isinstance(caught.value, UnusableSourceError)


class _Camera(http.server.BaseHTTPRequestHandler):
    """Serves /live as MJPEG, so many pictures a connection, and files of a folder."""

    def __init__(self, *args, folder: Path, pictures: list[int], **kwargs) -> None:
        self.folder, self.pictures = folder, pictures
        super().__init__(*args, **kwargs)

    def do_GET(self) -> None:
        if self.path == "/private":
            self.send_error(401)
        elif self.path == "/live":
            with suppress(OSError):  # the client leaves when it has seen enough
                self._send_live()
        elif (self.folder / self.path[1:]).is_file():
            data = (self.folder / self.path[1:]).read_bytes()
            self.send_response(200)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)
        else:
            self.send_error(404)

    def _send_live(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
        self.end_headers()
        for index in range(self.pictures.pop(0) if len(self.pictures) > 1 else self.pictures[0]):
            picture = np.full((48, 64, 3), grey(index), np.uint8)
            jpeg = cv2.imencode(".jpg", picture)[1].tobytes()
            head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n"
            self.wfile.write(head.encode() + jpeg + b"\r\n")
            time.sleep(0.01)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - named by the base class
        """Keep quiet."""


@pytest.fixture
def server(tmp_path: Path, video: Path) -> Iterator[str]:
    (tmp_path / "hall.mp4").write_bytes(video.read_bytes())
    handler = partial(_Camera, folder=tmp_path, pictures=[12])
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as camera:
        camera.daemon_threads = True
        thread = threading.Thread(target=camera.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{camera.server_address[1]}"
        camera.shutdown()
        thread.join()


def test_mjpeg_stream_is_stamped_on_arrival(server):
    before = datetime.now(UTC)
    source = opened(f"{server}/live")
    frames = [read(source) for _ in range(8)]
    assert source.live
    assert [brightness(f) for f in frames] == list(range(8))
    assert before <= frames[0].captured_at <= frames[-1].captured_at <= datetime.now(UTC)
    with pytest.raises(SourceError, match=r"ended the stream|broke off"):
        drain(source)
    source.close()


def test_recording_served_over_http_is_a_recording(server):
    source = opened(f"{server}/hall.mp4")
    assert [since(read(source)) for _ in range(3)] == [0.0, 0.1, 0.2]
    assert not source.live
    source.close()


def test_reader_connects_again_to_a_stream_that_ends(server):
    states: list[str] = []
    online_twice = threading.Event()

    def note(_: str, state: str, message: str) -> None:
        states.append(state)
        if states.count("online") == 2:
            online_twice.set()

    reader = CameraReader("c1", lambda: opened(f"{server}/live"), note, backoff_s=(0.01, 0.02))
    assert online_twice.wait(20)
    reader.stop()
    assert states[:5] == ["connecting", "online", "offline", "connecting", "online"]


@pytest.mark.parametrize(
    ("path", "message"), [("nothing", "has no such stream"), ("private", "wants a user name")]
)
def test_refusals_of_a_server_are_told(server, path, message):
    with pytest.raises(SourceError, match=message):
        opened(f"{server}/{path}")


def test_rtsp_stream_keeps_the_steps_of_its_time_stamps():
    # FFmpeg gives a picture when the next one begins: one more than are read
    with rtsp_camera([grey(i) for i in range(15)], step_s=0.1) as (url, sent_s):
        source = opened(url)
        frames = [read(source) for _ in range(14)]
        assert source.live
        source.close()
    assert [brightness(f) for f in frames] == list(range(14))
    captured_s = np.array([f.captured_at.timestamp() for f in frames])
    assert (np.diff(captured_s) > 0).all()
    assert np.median(np.diff(captured_s)) == pytest.approx(0.1, abs=0.005)
    assert (captured_s[-4:] - sent_s[10:14]).max() < 0.06  # although FFmpeg gives each a step later


def test_stream_that_falls_silent_is_reported_in_time(monkeypatch):
    monkeypatch.setattr("gpuworker.sources.decoder.READ_TIMEOUT_S", 0.4)
    monkeypatch.setattr("gpuworker.sources.decoder.COMMON_OPTIONS", {"analyzeduration": "100000"})
    with rtsp_camera([grey(i) for i in range(6)], step_s=0.05) as (url, _):
        source = opened(url)
        with pytest.raises(SourceError, match=r"rtsp://\*\*\*@127.*broke off: nothing came for 0\.4 s"):
            drain(source)
        source.close()


def test_recording_can_be_played_faster(video):
    source = open_source(
        str(video), camera_id="c1", started_at=START, worlds=Worlds(), paced=False, speed=2.0
    )
    assert [since(read(source)) for _ in range(3)] == [0.0, 0.05, 0.1]

"""Reading a video with PyAV: opening with time-outs, decoding past broken packets, clear messages."""

import logging
from collections.abc import Iterator

import av
import av.error
import numpy as np
from av.container import InputContainer
from av.packet import Packet
from av.video.frame import VideoFrame

from environments.secrets import mask_credentials
from gpuworker.pipeline.seams import SourceError, UnusableSourceError

logger = logging.getLogger(__name__)

OPEN_TIMEOUT_S, READ_TIMEOUT_S = 8.0, 5.0
MOST_BROKEN_IN_A_ROW = 100
UNTIMED_FORMATS = frozenset(
    {"mpjpeg", "mjpeg", "jpeg_pipe", "image2", "h264", "hevc", "m4v"}
)  # their time stamps are made up
COMMON_OPTIONS = {"analyzeduration": "1000000", "fpsprobesize": "0"}  # begin to play at once
PARSED_CODECS = frozenset({"h264", "hevc", "mpeg4"})
OPTIONS = {
    "rtsp": {"rtsp_transport": "tcp"},
    "rtsps": {"rtsp_transport": "tcp"},
    # no redirects: they would lead to hosts that nobody checked
    "http": {"protocol_whitelist": "http,https,tcp,tls,crypto,httpproxy", "max_redirects": "0"},
    "https": {"protocol_whitelist": "http,https,tcp,tls,crypto,httpproxy", "max_redirects": "0"},
    "file": {"protocol_whitelist": "file"},
}
REASONS: tuple[tuple[type[Exception], str], ...] = (
    (
        av.error.ConnectionRefusedError,
        "refused the connection: check host and port, and that it is switched on",
    ),
    (av.error.HTTPUnauthorizedError, "wants a user name and a password, or those given are wrong"),
    (av.error.HTTPForbiddenError, "does not let this user see the stream"),
    (av.error.HTTPNotFoundError, "has no such stream: check the path"),
    (av.error.TimeoutError, "did not answer in time: check host, port and network"),
    (av.error.ExitError, "did not answer in time: check host, port and network"),
    (av.error.InvalidDataError, "gives no video that can be read"),
)


class Decoder:
    """An open video: frames in order, with their time since its beginning.

    Attributes:
        name: the address without its secrets, for messages.
        duration_s: None for a live stream.
        broken: packets that could not be decoded and were left out.
        codec: as FFmpeg names it.
        camera_at_s: when the last packet's picture was taken by the camera's own clock, in seconds since 1970; None
            where the camera does not tell.
        holds_back: a frame is given only when the next one begins to arrive, for nothing in what FFmpeg
            reads of these codecs over RTSP says where a frame ends.

    Raises:
        SourceError: it cannot be opened now.
        UnusableSourceError: a file that is not a video.
    """

    def __init__(self, address: str, *, scheme: str) -> None:
        self.name = mask_credentials(address)
        self.broken = 0
        self._is_file = scheme == "file"
        try:
            self._container: InputContainer = av.open(
                address, timeout=(OPEN_TIMEOUT_S, READ_TIMEOUT_S), options=COMMON_OPTIONS | OPTIONS[scheme]
            )
        except (av.error.FFmpegError, OSError, ValueError) as error:
            raise self._error(error) from None  # its text may hold the password
        if not self._container.streams.video:
            self._container.close()
            raise UnusableSourceError(f"{self.name} holds no video")
        self._stream = self._container.streams.video[0]
        self._stream.thread_type = "SLICE"  # threads over frames would delay each of them
        self.codec = self._stream.codec_context.name
        self.camera_at_s: float | None = None
        self.holds_back = scheme in ("rtsp", "rtsps") and self.codec in PARSED_CODECS
        self._timed = not set(self._container.format.name.split(",")) & UNTIMED_FORMATS
        duration = self._container.duration
        self.duration_s = duration / 1e6 if duration and scheme not in ("rtsp", "rtsps") else None
        self._start_s = self._seconds(self._stream.start_time) or 0.0
        rate = self._stream.average_rate
        self._period_s = 1.0 / float(rate) if rate else 0.04

    def frames(self) -> Iterator[tuple[float | None, VideoFrame]]:
        """Decode from here on: seconds since the beginning, None when the stream does not tell, and frame.

        Raises:
            SourceError: the stream broke.
        """
        in_a_row = 0
        packets = self._container.demux(self._stream)
        while True:
            try:
                packet = next(packets)
                self.camera_at_s = _camera_at_s(packet)
                decoded = packet.decode()
            except StopIteration:
                return
            except av.error.EOFError:
                return
            except av.error.InvalidDataError as error:
                self.broken += 1
                in_a_row += 1
                if in_a_row >= MOST_BROKEN_IN_A_ROW:
                    raise SourceError(f"{self.name}: {in_a_row} packets in a row are broken") from error
                continue
            except (av.error.FFmpegError, OSError) as error:
                raise SourceError(f"{self.name} broke off: {_said(error)}") from None
            for frame in decoded:
                in_a_row = 0
                yield self._time_s(frame), frame

    def seek(self, time_s: float) -> None:
        """Go to the key frame at or before a time since the beginning.

        Raises:
            SourceError: the video cannot be sought in.
        """
        try:
            self._container.seek(int((self._start_s + time_s) * 1e6), backward=True)
        except (av.error.FFmpegError, OSError) as error:
            raise self._error(error) from None  # its text may hold the password

    @property
    def period_s(self) -> float:
        """Give the usual time between frames."""
        return self._period_s

    def close(self) -> None:
        """Release the video; safe to call twice."""
        if self.broken:
            logger.warning("%s: %d broken packets were left out", self.name, self.broken)
            self.broken = 0
        self._container.close()

    def _time_s(self, frame: VideoFrame) -> float | None:
        time_s = self._seconds(frame.pts) if self._timed else None
        return None if time_s is None else time_s - self._start_s

    def _seconds(self, stamp: int | None) -> float | None:
        base = self._stream.time_base
        return None if stamp is None or base is None else float(stamp * base)

    def _error(self, error: Exception) -> SourceError:
        if self._is_file:
            if isinstance(error, av.error.InvalidDataError):
                return UnusableSourceError(
                    f"{self.name} is not a video that can be read: it may be cut off or still being written"
                )
            return UnusableSourceError(f"{self.name} cannot be read: {error.__class__.__name__}")
        for kind, reason in REASONS:
            if isinstance(error, kind):
                return SourceError(f"{self.name} {reason}")
        return SourceError(f"{self.name} cannot be opened ({_said(error)}): check host name and network")


def _camera_at_s(packet: Packet) -> float | None:
    """Give the camera's clock at a packet, which FFmpeg works out from the camera's RTCP reports.

    Source: AVProducerReferenceTime in libavutil's documentation: int64 microseconds since 1970, then flags.
    """
    if not packet.has_sidedata("prft"):
        return None
    return float(np.frombuffer(bytes(packet.get_sidedata("prft")), np.int64, 1)[0]) / 1e6


def _said(error: Exception) -> str:
    if isinstance(error, av.error.ExitError):
        return f"nothing came for {READ_TIMEOUT_S:g} s"
    return mask_credentials(str(getattr(error, "strerror", None) or error.__class__.__name__))

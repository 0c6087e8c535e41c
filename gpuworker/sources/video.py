"""Video as a source: live streams, and recordings played in step with the session."""

import logging
import math
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import unquote

import numpy as np
from av.video.frame import VideoFrame

from gpuworker.pipeline.seams import EndOfSource, Source, SourceError, UnusableSourceError
from gpuworker.pipeline.values import Frame
from gpuworker.sources.address import options_of, split_address
from gpuworker.sources.capture_clock import CaptureClock
from gpuworker.sources.decoder import Decoder
from gpuworker.sources.pace import Pace

logger = logging.getLogger(__name__)

DROP_LATE_S = 0.5  # a recorded frame later than this is decoded but not shown
SEEK_LATE_S = 5.0
CUT_OFF_S = 1.0  # a recording that ends so much before its stated duration is cut off


def open_stream(url: str, *, scheme: str, camera_id: str, pace: Pace) -> Source:
    """Open a network address: a recording when it has a duration, else a live stream."""
    decoder = Decoder(url, scheme=scheme)
    if decoder.duration_s is not None:
        return Recording(decoder, camera_id=camera_id, pace=pace, loop_s=0.0)
    return LiveStream(decoder, camera_id=camera_id)


def open_file(url: str, *, camera_id: str, pace: Pace) -> Source:
    """Open ``file:///path?loop=SECONDS`` or a plain path.

    Raises:
        UnusableSourceError: no such file, not a video, or a wrong option.
    """
    text, _, query = url.partition("?")
    if url.startswith("file:"):
        parts = split_address(text)
        if parts.netloc not in ("", "localhost"):
            raise UnusableSourceError(f"{url}: a file address has three slashes, as in file:///videos/a.mp4")
        text = unquote(parts.path)
    options = options_of(query, allowed={"loop": 0.0}, url=url)
    path = Path(text)
    if not path.is_file():
        raise UnusableSourceError(f"{path}: no such file")
    decoder = Decoder(str(path), scheme="file")
    return Recording(decoder, camera_id=camera_id, pace=pace, loop_s=options["loop"])


def _picture(frame: VideoFrame) -> np.ndarray:
    return frame.to_ndarray(format="bgr24")


class LiveStream:
    """A camera's stream; frames come at its own pace. A read waits until the decoder's time-out."""

    live = True

    def __init__(self, decoder: Decoder, *, camera_id: str) -> None:
        self.decoder, self._camera_id = decoder, camera_id
        self._frames = decoder.frames()
        self._clock = CaptureClock()
        self._last_read_s: float | None = None
        self._seq = 0

    def read(self) -> Frame | None:
        """Give the next frame.

        Raises:
            SourceError: the stream broke or ended.
        """
        try:
            time_s, frame = next(self._frames)
        except StopIteration:
            raise SourceError(f"{self.decoder.name} ended the stream") from None
        captured_at = datetime.fromtimestamp(self._clock.capture_s(time_s, self._arrival_s()), UTC)
        self._seq += 1
        return Frame(self._camera_id, self._seq - 1, captured_at, _picture(frame))

    def close(self) -> None:
        """Leave the stream."""
        self.decoder.close()

    def _arrival_s(self) -> float:
        """Give the latest time at which the frame just read can have arrived."""
        now_s = datetime.now(UTC).timestamp()
        arrival_s = now_s
        if self.decoder.holds_back and self._last_read_s is not None:
            arrival_s = self._last_read_s  # this frame's arrival is what brought the one before
        self._last_read_s = now_s
        return arrival_s


class Recording:
    """A recorded video. A frame at media time t has the capture time start + t, plus its rounds of a loop.

    ``loop_s`` is the length of a round, 0 for none: the same for all cameras of a scene, so that videos of
    slightly different length stay in step.
    """

    def __init__(self, decoder: Decoder, *, camera_id: str, pace: Pace, loop_s: float) -> None:
        self.live = pace.paced
        self.decoder, self._camera_id, self._pace, self._loop_s = decoder, camera_id, pace, loop_s
        self._seq = -1
        self._waiting: tuple[float, VideoFrame] | None = None
        self._frames: Iterator[tuple[float | None, VideoFrame]]
        self._begin(pace.elapsed_s())

    def read(self) -> Frame | None:
        """Give the next frame when it is due; overdue ones are left out.

        Raises:
            EndOfSource: the recording is over.
            SourceError: it cannot be read on.
        """
        while True:
            elapsed_s, frame = self._waiting = self._waiting or self._next()
            late_s = self._pace.late_s(elapsed_s)
            if late_s > SEEK_LATE_S:
                self._begin(self._pace.elapsed_s())
                self._seq += 1  # at least one frame is left out
            elif late_s <= DROP_LATE_S:
                break
            self._waiting = None
        if not self._pace.wait(elapsed_s):
            return None
        self._waiting = None
        return Frame(self._camera_id, self._seq, self._pace.at(elapsed_s), _picture(frame))

    def close(self) -> None:
        """Stop waiting and close the file."""
        self._pace.stop()
        self.decoder.close()

    def _begin(self, elapsed_s: float) -> None:
        """Go to the moment so long after the start of the session."""
        self._round = math.floor(elapsed_s / self._loop_s) if self._loop_s else 0
        self._from_s = elapsed_s - self._round * self._loop_s
        self._last_s: float | None = None
        duration_s = self.decoder.duration_s
        if self._from_s > 0 and (duration_s is None or self._from_s < duration_s):
            self.decoder.seek(self._from_s)
            self._frames = self.decoder.frames()
        elif self._from_s > 0:
            self._frames = iter(())
        else:
            self._frames = self.decoder.frames()

    def _next(self) -> tuple[float, VideoFrame]:
        """Decode the next frame from where reading begins: seconds since the start, frame."""
        while True:
            for told_s, frame in self._frames:
                time_s = self._next_time_s() if told_s is None else told_s
                self._last_s = time_s
                if self._loop_s and time_s >= self._loop_s:
                    break
                if time_s >= self._from_s - self.decoder.period_s / 2:
                    self._seq += 1
                    return self._round * self._loop_s + time_s, frame
            self._end_round()

    def _next_time_s(self) -> float:
        return self._from_s if self._last_s is None else self._last_s + self.decoder.period_s

    def _end_round(self) -> None:
        name, duration_s = self.decoder.name, self.decoder.duration_s
        if self._last_s is None and self._from_s == 0:
            raise UnusableSourceError(f"{name} holds no pictures that can be decoded")
        cut_off = (
            self._last_s is not None and duration_s is not None and self._last_s < duration_s - CUT_OFF_S
        )
        cut_off = cut_off and not (self._loop_s and self._last_s and self._last_s >= self._loop_s)
        if not self._loop_s:
            if cut_off:
                raise EndOfSource(
                    f"{name} breaks off after {self._last_s:.1f} of {duration_s:.1f} s: it is cut off"
                )
            raise EndOfSource(f"{name} is over")
        if cut_off:
            logger.warning(
                "%s breaks off after %.1f of %.1f s: it is cut off", name, self._last_s, duration_s
            )
        self._round, self._from_s, self._last_s = self._round + 1, 0.0, None
        self.decoder.seek(0.0)
        self._frames = self.decoder.frames()

"""A folder of numbered pictures as a source: ``images:///path?fps=2&loop=SECONDS``."""

import logging
import math
from pathlib import Path
from urllib.parse import unquote

import cv2
import numpy as np

from gpuworker.pipeline.seams import EndOfSource, UnusableSourceError
from gpuworker.pipeline.values import Frame
from gpuworker.sources.address import options_of, split_address
from gpuworker.sources.pace import Pace

logger = logging.getLogger(__name__)

SUFFIXES = frozenset({".jpg", ".jpeg", ".png"})
DEFAULT_FPS = 2.0


class ImageFolder:
    """Pictures named by their number: 000001.jpg is shown at the start, the next one 1 / fps later.

    Numbers may be missing; unreadable pictures are left out with a warning.

    Raises:
        UnusableSourceError: no such folder, no numbered pictures in it, or a wrong option.
    """

    def __init__(self, url: str, *, camera_id: str, pace: Pace) -> None:
        parts = split_address(url)
        if parts.netloc:
            raise UnusableSourceError(
                f"{url}: a folder address has three slashes, as in images:///scenes/hall/c1"
            )
        options = options_of(parts.query, allowed={"fps": DEFAULT_FPS, "loop": 0.0}, url=url)
        if options["fps"] == 0:
            raise UnusableSourceError(f"{url}: fps must be more than 0")
        self.live = pace.paced
        self._camera_id, self._pace = camera_id, pace
        self._fps, self._loop_s = options["fps"], options["loop"]
        self._folder = Path(unquote(parts.path))
        self._times_s, self._paths = _numbered(self._folder, self._fps, self._loop_s)
        self._round = self._index = self._seq = 0
        self._go_to(pace.elapsed_s())

    def read(self) -> Frame | None:
        """Give the next picture when it is due; overdue ones are left out.

        Raises:
            EndOfSource: the last one was shown.
        """
        if self._pace.late_s(self._elapsed_s()) * self._pace.speed > 1.0 / self._fps:
            before = self._index
            self._go_to(self._pace.elapsed_s())
            self._seq += max(0, self._index - before)
        while self._index < len(self._paths) or self._loop_s:
            if self._index >= len(self._paths):
                self._round, self._index = self._round + 1, 0
            elapsed_s = self._elapsed_s()
            if not self._pace.wait(elapsed_s):
                return None
            path = self._paths[self._index]
            image = (
                cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_COLOR) if path.stat().st_size else None
            )
            self._index, self._seq = self._index + 1, self._seq + 1
            if image is not None:
                return Frame(self._camera_id, self._seq - 1, self._pace.at(elapsed_s), image.astype(np.uint8))
            logger.warning("%s is not a picture that can be read: left out", path)
        raise EndOfSource(f"{self._folder} is over after {len(self._paths)} pictures")

    def close(self) -> None:
        """Stop waiting."""
        self._pace.stop()

    def _elapsed_s(self) -> float:
        if self._index >= len(self._paths):
            return (self._round + 1) * self._loop_s if self._loop_s else math.inf
        return self._round * self._loop_s + self._times_s[self._index]

    def _go_to(self, elapsed_s: float) -> None:
        self._round = math.floor(elapsed_s / self._loop_s) if self._loop_s else 0
        self._index = int(np.searchsorted(self._times_s, elapsed_s - self._round * self._loop_s - 1e-9))


def _numbered(folder: Path, fps: float, loop_s: float) -> tuple[list[float], list[Path]]:
    if not folder.is_dir():
        raise UnusableSourceError(f"{folder}: no such folder")
    found = sorted(
        (int(p.stem), p) for p in folder.iterdir() if p.suffix.lower() in SUFFIXES and p.stem.isdigit()
    )
    timed = [((number - 1) / fps, path) for number, path in found if number > 0]
    timed = [(time_s, path) for time_s, path in timed if not loop_s or time_s < loop_s]
    if not timed:
        raise UnusableSourceError(f"{folder} holds no pictures named 000001.jpg, 000002.jpg and so on")
    return [time_s for time_s, _ in timed], [path for _, path in timed]

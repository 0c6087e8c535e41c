"""A simulated camera as a source: ``sim://plaza/c1?people=10&seed=7&fps=10``; ``stamp=1`` draws each frame's number into it."""

import math

from environments.geometry import CameraModel
from environments.secrets import mask_credentials
from gpuworker.pipeline.seams import UnusableSourceError
from gpuworker.pipeline.values import Frame
from gpuworker.sources.address import options_of, split_address
from gpuworker.sources.pace import Pace
from gpuworker.sources.sim.scene import FPS, plaza_cameras
from gpuworker.sources.sim.stamp import stamp_draw
from gpuworker.sources.sim.worlds import WorldKey, Worlds

OPTIONS = {"people": 10.0, "seed": 7.0, "fps": FPS, "returning": 0.0, "stamp": 0.0}
MOST_PEOPLE, MOST_FPS = 200, 60.0


class SimSource:
    """Draws the frames of one camera of a simulated world when they are due.

    Cameras of the same session, population and seed look at the same world, whatever their order.

    Raises:
        UnusableSourceError: no such place or camera, or an option out of range.
    """

    def __init__(self, url: str, *, camera_id: str, pace: Pace, worlds: Worlds) -> None:
        camera, options = _parsed(url)
        self.live = pace.paced
        self._camera_id, self._pace, self._fps = camera_id, pace, options["fps"]
        self._has_stamp = options["stamp"] > 0
        key = WorldKey(pace.started_at, int(options["people"]), int(options["seed"]), options["returning"])
        self._world = worlds.world(key)
        self._view = worlds.view(camera, key.seed)
        self._first = self._next = math.ceil(pace.elapsed_s() * self._fps)

    def read(self) -> Frame | None:
        """Give the next frame when it is due; frames that are overdue by more than one are left out."""
        late = int(self._pace.late_s(self._next / self._fps) * self._pace.speed * self._fps)
        self._next += late
        elapsed_s = self._next / self._fps
        if not self._pace.wait(elapsed_s):
            return None
        image = self._view.draw(self._world.truth_at(elapsed_s), self._next)
        seq = self._next - self._first
        if self._has_stamp:
            stamp_draw(image, seq)
        frame = Frame(self._camera_id, seq, self._pace.at(elapsed_s), image)
        self._next += 1
        return frame

    def close(self) -> None:
        """Stop waiting for the next frame."""
        self._pace.stop()


def _parsed(url: str) -> tuple[CameraModel, dict[str, float]]:
    parts = split_address(url)
    options = options_of(parts.query, allowed=OPTIONS, url=url)
    cameras = {c.camera_id: c for c in plaza_cameras()}
    name = parts.path.strip("/")
    if parts.netloc != "plaza" or name not in cameras:
        choices = ", ".join(f"sim://plaza/{c}" for c in cameras)
        raise UnusableSourceError(f"{mask_credentials(url)}: no such simulated camera; there are: {choices}")
    if not (
        options["people"] <= MOST_PEOPLE and 0 < options["fps"] <= MOST_FPS and options["returning"] <= 1
    ):
        raise UnusableSourceError(
            f"{url}: expected people up to {MOST_PEOPLE}, fps in (0, {MOST_FPS:g}] and returning in [0, 1]"
        )
    return cameras[name], options

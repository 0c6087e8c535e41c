"""Which frames make a tick."""

from functools import partial

import pytest

from gpuworker.pipeline.values import Frame
from gpuworker.worker.gather import LONGEST_WAIT_S, Gather
from tests.gpuworker.made import frame


class Cameras:
    """Cameras whose newest frames wait to be taken."""

    def __init__(self, *keys: str, fps: float = 10.0):
        self.newest: dict[str, Frame | None] = dict.fromkeys(keys)
        self._seq = dict.fromkeys(keys, 0)
        self.gather = Gather({key: (partial(self._take, key), fps) for key in keys})

    def _take(self, key: str) -> Frame | None:
        taken, self.newest[key] = self.newest[key], None
        return taken

    def arrive(self, *keys: str, captured_s: float = 0.0) -> None:
        for key in keys:
            self.newest[key] = frame(key, captured_s, seq=self._seq[key])
            self._seq[key] += 1

    def tick(self, now_s: float) -> list[str]:
        return sorted(f.camera_id for f in self.gather.collect(now_s))


def warmed_up(*keys: str, fps: float = 10.0, until_s: float = 2.0) -> Cameras:
    """Give cameras that have been in step up to a second, with a frame each that is due then."""
    cameras = Cameras(*keys, fps=fps)
    for i in range(round(until_s * fps)):
        cameras.arrive(*keys, captured_s=i / fps)
        assert cameras.tick(i / fps) == sorted(keys)
    return cameras


def test_nothing_arrived_is_no_tick():
    assert Cameras("a").tick(0.0) == []


def test_first_frame_ever_is_not_held_up():
    cameras = Cameras("a", "b")
    cameras.arrive("a")
    assert cameras.tick(0.0) == ["a"]


def test_synchronous_cameras_fall_in_one_tick():
    cameras = warmed_up("a", "b")
    cameras.arrive("a", captured_s=2.0)
    assert cameras.tick(2.0) == []
    cameras.arrive("b", captured_s=2.0)
    assert cameras.tick(2.02) == ["a", "b"]


def test_a_late_camera_is_waited_for_half_an_interval_at_most():
    cameras = warmed_up("a", "b")
    cameras.arrive("a", captured_s=2.0)
    assert cameras.tick(2.0) == []
    assert cameras.gather.wait_s(2.01) <= LONGEST_WAIT_S
    assert cameras.tick(2.04) == []
    assert cameras.tick(2.051) == ["a"]
    # and does not wait for a frame of the other that belongs to the next tick
    cameras.arrive("b", captured_s=2.0)
    assert cameras.tick(2.06) == ["b"]


def test_a_camera_that_went_silent_holds_nobody_up():
    cameras = warmed_up("a", "b")
    cameras.arrive("a", captured_s=2.0)
    assert cameras.tick(2.0) == []
    assert cameras.tick(2.051) == ["a"]
    for i in range(1, 5):
        cameras.arrive("a", captured_s=2.0 + i / 10)
        assert cameras.tick(2.0 + i / 10) == ["a"]


def test_a_camera_of_half_the_rate_joins_every_other_tick_once_its_rate_is_known():
    cameras = Cameras("a", "b")
    ticks = []
    for i in range(40):
        cameras.arrive("a", *("b" if i % 2 == 0 else ""), captured_s=i / 10)
        ticks.append(cameras.tick(i / 10) or cameras.tick(i / 10 + 0.051))
    assert ticks == [["a", "b"], ["a"]] * 20
    # and nobody waits for it in between
    cameras.arrive("a", "b", captured_s=4.0)
    cameras.tick(4.0)
    cameras.arrive("a", captured_s=4.1)
    assert cameras.tick(4.1) == ["a"]


def test_a_faster_camera_is_thinned_to_its_rate():
    cameras = Cameras("a", fps=5.0)
    taken = 0
    for i in range(250):
        cameras.arrive("a", captured_s=i / 25)
        taken += len(cameras.tick(i / 25))
    assert taken in (50, 51)


def test_thinned_cameras_stay_in_step():
    cameras = Cameras("a", "b", fps=5.0)
    ticks = []
    for i in range(250):
        cameras.arrive("a", "b", captured_s=i / 25)
        ticks.append(cameras.tick(i / 25))
    assert [tick for tick in ticks if tick and tick != ["a", "b"]] == []


def test_newest_frame_is_taken():
    cameras = Cameras("a")
    cameras.arrive("a")
    cameras.arrive("a")
    [taken] = cameras.gather.collect(0.0)
    assert taken.seq == 1


def test_waits_until_a_thinned_camera_is_due():
    cameras = Cameras("a", fps=5.0)
    for now_s in (0.0, 0.04):
        cameras.arrive("a", captured_s=now_s)
        cameras.tick(now_s)
    assert cameras.gather.wait_s(0.05) == pytest.approx(0.15)

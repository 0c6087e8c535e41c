"""The simulator as a source of frames."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from gpuworker.pipeline.seams import Source, UnusableSourceError
from gpuworker.pipeline.values import Frame
from gpuworker.sources import open_source
from gpuworker.sources.sim.world import World
from gpuworker.sources.sim.worlds import REMEMBERED_TICKS, SharedWorld, WorldKey, Worlds

START = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)


def opened(
    worlds: Worlds,
    url: str = "sim://plaza/c1?people=4&seed=7",
    started_at: datetime = START,
    *,
    paced: bool = False,
) -> Source:
    return open_source(url, camera_id="cam", started_at=started_at, worlds=worlds, paced=paced)


def read(source: Source) -> Frame:
    frame = source.read()
    assert frame is not None
    return frame


def test_frames_are_stamped_from_the_start_of_the_session(worlds):
    source = opened(worlds)
    frames = [read(source) for _ in range(3)]
    assert [f.seq for f in frames] == [0, 1, 2]
    assert [f.captured_at for f in frames] == [START + timedelta(seconds=s) for s in (0.0, 0.1, 0.2)]
    assert {f.camera_id for f in frames} == {"cam"}
    assert frames[0].image.shape == (360, 640, 3)
    assert not source.live


def test_pictures_are_the_same_in_another_session(worlds):
    one, other = opened(worlds), opened(worlds, started_at=START + timedelta(days=1))
    for _ in range(2):
        assert np.array_equal(read(one).image, read(other).image)


def test_cameras_of_a_session_share_one_world(worlds):
    key = WorldKey(START, 4, 7, 0.0)
    one = worlds.world(key)
    assert worlds.world(WorldKey(START, 4, 7, 0.0)) is one
    assert worlds.world(WorldKey(START, 5, 7, 0.0)) is not one


def test_paced_source_joins_now_and_waits_for_the_next_frame(worlds):
    started_at = datetime.now(UTC) - timedelta(seconds=500)
    source = opened(worlds, started_at=started_at, paced=True)
    frames = [read(source) for _ in range(3)]
    assert source.live
    now = datetime.now(UTC)
    for frame in frames:
        since_s = (frame.captured_at - started_at).total_seconds()
        assert since_s == pytest.approx(round(since_s * 10) / 10, abs=1e-5)
        assert frame.captured_at <= now
    assert now - frames[-1].captured_at < timedelta(seconds=2)


def test_paced_source_gives_none_until_a_frame_is_due(worlds):
    source = opened(worlds, started_at=datetime.now(UTC) + timedelta(hours=1), paced=True)
    source.close()
    assert source.read() is None
    source.close()


def test_frame_rate_can_be_chosen(worlds):
    source = opened(worlds, "sim://plaza/c2?people=1&seed=7&fps=25")
    source.read()
    assert read(source).captured_at == START + timedelta(seconds=0.04)


def test_shared_world_gives_any_moment_in_any_order():
    shared = SharedWorld(people=3, seed=5)
    late = (REMEMBERED_TICKS + 300) / 10
    world = World(5, 3)
    first = shared.truth_at(late)
    again = shared.truth_at(0.5)
    world.step_to(5)
    assert np.array_equal(again.position_m, world.truth().position_m)
    assert np.array_equal(shared.truth_at(late).position_m, first.position_m)
    between = shared.truth_at(late + 0.05)
    assert between.time_s == pytest.approx(late + 0.05)
    assert np.abs(between.position_m - first.position_m).max() < 0.12


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("sim://plaza/c9", "there are: sim://plaza/c1, sim://plaza/c2"),
        ("sim://market/c1", "no such simulated camera"),
        ("sim://plaza/c1?peple=3", "unknown or repeated option 'peple'; there are: people, seed, fps"),
        ("sim://plaza/c1?people=many", "option people takes a number of 0 or more, got 'many'"),
        ("sim://plaza/c1?people=-1", "takes a number of 0 or more"),
        ("sim://plaza/c1?people=100000", "expected people up to 200"),
        ("sim://plaza/c1?fps=0", "fps in"),
        ("sim://plaza/c1?fps=nan", "takes a number"),
    ],
)
def test_wrong_simulator_url_says_what_is_wrong(worlds, url, message):
    with pytest.raises(UnusableSourceError, match=message.replace("(", r"\(").replace("?", r"\?")):
        opened(worlds, url)

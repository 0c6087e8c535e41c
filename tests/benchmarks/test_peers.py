from datetime import timedelta

import numpy as np
import pytest

from tests.benchmarks.peers import FilterPerTrack, FloorLinker, LinkedByteTracks
from tests.gpuworker.pipeline.staging import START, observe, state, yard

FPS = 10.0


def crossing(t_s):
    """Two people who pass each other, three metres apart, and one who stands."""
    return state((2 + t_s, 3.5), (8 - t_s, 6.5), (5, 9))


def followed(tracker, cameras, seconds=4.0):
    """Ids and places at each tick, by where people began: the walkers from left and right, and the standing."""
    ticks = []
    noise = np.random.default_rng(2)
    for k in range(round(seconds * FPS)):
        people = crossing(k / FPS)
        published = tracker.step(observe(cameras, people, k / FPS, noise=noise))
        apart_m = np.linalg.norm(published.xy_m[:, None] - people[None, :, :2], axis=-1)
        ticks.append((published.ids, apart_m))
    return ticks


@pytest.mark.parametrize("make", [LinkedByteTracks, FilterPerTrack])
def test_peer_keeps_the_identities_of_people_who_cross(make):
    cameras = yard()
    tracker = make(cameras, FPS) if make is LinkedByteTracks else make(cameras)
    ticks = followed(tracker, cameras)[3:]
    assert {tuple(sorted(ids.tolist())) for ids, _ in ticks} == {(1, 2, 3)}
    assert max(apart_m.min(axis=1).max() for _, apart_m in ticks) < 0.5
    nearest = {tuple(apart_m.argmin(axis=1)[np.argsort(ids)]) for ids, apart_m in ticks}
    assert len(nearest) == 1


@pytest.mark.parametrize("make", [LinkedByteTracks, FilterPerTrack])
def test_peer_shows_nobody_where_one_camera_of_three_shows_a_box(make):
    cameras = yard()
    tracker = make(cameras, FPS) if make is LinkedByteTracks else make(cameras)
    alone = {"c1": cameras["c1"]}
    for k in range(10):
        seen = observe(alone, state((5, 5)), k / FPS)
        seen += observe({key: cameras[key] for key in ("c2", "c3")}, state(), k / FPS)
        assert len(tracker.step(seen).ids) == 0


@pytest.mark.parametrize("make", [LinkedByteTracks, FilterPerTrack])
def test_peer_forgets_who_has_gone(make):
    cameras = yard()
    tracker = make(cameras, FPS) if make is LinkedByteTracks else make(cameras)
    for k in range(10):
        before = tracker.step(observe(cameras, state((5, 5)), k / FPS))
    for k in range(10, 40):
        between = tracker.step(observe(cameras, state(), k / FPS))
    for k in range(40, 45):
        after = tracker.step(observe(cameras, state((5, 5)), k / FPS))
    assert [p.ids.tolist() for p in (before, between, after)] == [[1], [], [2]]


def linked(linker, k, **cameras):
    at = START + timedelta(seconds=k / FPS)
    found = linker.step(at, {c: {t: np.array(xy) for t, xy in seen.items()} for c, seen in cameras.items()})
    return dict(zip(found.ids.tolist(), found.xy_m.tolist(), strict=True))


def test_linker_links_tracks_that_stand_together():
    linker = FloorLinker(2)
    assert linked(linker, 0, a={7: (0, 0), 8: (5, 5)}, b={1: (5, 5.4), 2: (0.2, 0)}) == {
        1: pytest.approx([0.1, 0]),
        2: pytest.approx([5, 5.2]),
    }


def test_linker_keeps_a_link_while_the_tracks_pass_another():
    linker = FloorLinker(2)
    linked(linker, 0, a={7: (0, 0), 8: (2, 0)}, b={1: (0, 0), 2: (2, 0)})
    near = linked(linker, 1, a={7: (1, 0), 8: (1.1, 0)}, b={1: (1.1, 0), 2: (1, 0)})
    assert near == {1: pytest.approx([1.05, 0]), 2: pytest.approx([1.05, 0])}
    assert linked(linker, 2, a={7: (2, 0)}, b={2: (0, 0)}) == {1: [2, 0], 2: [0, 0]}


def test_linker_gives_the_number_on_to_a_new_track_in_place():
    linker = FloorLinker(2)
    linked(linker, 0, a={7: (0, 0)}, b={1: (0, 0)})
    assert linked(linker, 5, a={9: (0.3, 0)}, b={}) == {1: [0.3, 0]}


def test_linker_lets_go_a_track_that_comes_apart():
    linker = FloorLinker(3)
    linked(linker, 0, a={7: (0, 0)}, b={1: (0, 0)}, c={4: (0, 0)})
    assert linked(linker, 1, a={7: (0, 0)}, b={1: (0, 0)}, c={4: (3, 0)}) == {1: [0, 0]}
    both = linked(linker, 2, a={7: (0, 0)}, b={1: (0, 0), 2: (3, 0)}, c={4: (3, 0)})
    assert both == {1: [0, 0], 2: [3, 0]}


def test_linker_makes_one_of_two_whom_no_camera_shows_as_two():
    linker = FloorLinker(2)
    linked(linker, 0, a={7: (0, 0)}, b={1: (1.5, 0)})
    assert linked(linker, 1, a={7: (0.5, 0)}, b={1: (1, 0)}) == {1: [0.75, 0]}


def test_linker_of_one_camera_shows_its_tracks():
    linker = FloorLinker(1)
    assert linked(linker, 0, a={7: (0, 0)}) == {1: [0, 0]}

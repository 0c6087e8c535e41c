"""Batches: merged, written as bytes, read again."""

from uuid import UUID

import msgpack
import pytest

from gpuworker.sinks.batch import Batch, BatchError, DetectionRow, EventRow, PersonRow, PointRow, TrackRow
from tests.gpuworker.made import at

SOMEBODY, ANOTHER = UUID(int=3), UUID(int=4)


def make_batch() -> Batch:
    return Batch(
        persons={SOMEBODY: PersonRow(SOMEBODY, 1, 3, at(0), at(1.000001))},
        tracks={7: TrackRow(7, 1, SOMEBODY, at(0), at(1))},
        points=[PointRow(at(0.1), 1, 7, 0.1, -2.0, 0.5, 0.0, 0.04, 1e-300, 0.09, "c1 c2", "z1", "c2 c1")],
        detections=[DetectionRow(at(0), 1, 0, None, 1.0, 2.0, 3.0, 4.0, 0.5)],
        events=[
            EventRow(
                UUID(int=9), at(1), 1, "zone_enter", None, 2**53, 1, 2, None, None, 1.5, '{"ä": [1, null]}'
            )
        ],
    )


def test_batch_is_read_as_it_was_written():
    batch = make_batch()
    assert Batch.decode(batch.encode()) == batch
    assert Batch.decode(Batch().encode()) == Batch()


def test_points_of_an_earlier_version_were_not_handed_over():
    point = make_batch().points[0]
    (read,) = Batch.decode(Batch(points=[point[:-1]]).encode()).points  # type: ignore[list-item]
    assert read == point._replace(handover="")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xc1",
        make_batch().encode()[:-1],
        make_batch().encode() + b"\x00",
        msgpack.packb("rows"),
        msgpack.packb([1, [[]], [], [], [], []]),
        msgpack.packb([1, [], [], [[1, 2]], [], []]),
        msgpack.packb([1, [], [], [], [], [[msgpack.ExtType(1, b"short")]]]),
        msgpack.packb([1, [], [], [], [], [[msgpack.ExtType(2, b"unknown")]]]),
        msgpack.packb([2, [], [], [], [], []]),
    ],
)
def test_bytes_that_are_no_batch_give_one_error(data):
    with pytest.raises(BatchError):
        Batch.decode(data)


def test_what_has_no_bytes_is_refused():
    with pytest.raises(TypeError, match="object cannot be stored"):
        Batch(points=[(object(),)]).encode()  # type: ignore[list-item]


def test_merged_persons_and_tracks_last_from_first_to_last():
    early = Batch(
        persons={SOMEBODY: PersonRow(SOMEBODY, 1, 3, at(0), at(5))},
        tracks={7: TrackRow(7, 1, SOMEBODY, at(0), at(5))},
    )
    # as after a restart: it does not know when they were first seen, and it has learned whose the track is
    late = Batch(
        persons={
            SOMEBODY: PersonRow(SOMEBODY, 1, 3, at(4), at(4)),
            ANOTHER: PersonRow(ANOTHER, 1, 4, at(4), at(6)),
        },
        tracks={7: TrackRow(7, 1, ANOTHER, at(4), at(6))},
    )
    early.merge(late)
    assert early.persons == {
        SOMEBODY: PersonRow(SOMEBODY, 1, 3, at(0), at(5)),
        ANOTHER: PersonRow(ANOTHER, 1, 4, at(4), at(6)),
    }
    assert early.tracks == {7: TrackRow(7, 1, ANOTHER, at(0), at(6))}


def test_merged_series_follow_each_other():
    first, second = make_batch(), make_batch()
    first.merge(second)
    assert [len(rows) for rows in (first.points, first.detections, first.events)] == [2, 2, 2]
    assert len(first) == 8

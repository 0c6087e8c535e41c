"""What waits: on disk, in memory while the disk takes no more, and always in order."""

import errno
import logging

import pytest

from gpuworker.sinks.backlog import Backlog
from gpuworker.sinks.spool import Spool, spool_create, spools_left


class Disk:
    """Makes spools that can be full."""

    def __init__(self, root):
        self.root = root
        self.is_full = False
        self.spool: Spool | None = None

    def open(self) -> Spool:
        if self.is_full:
            raise OSError(errno.ENOSPC, "No space left on device")
        self.spool = spool_create(self.root, name="plaza", max_bytes=10**6)
        append = self.spool.append

        def append_or_fail(payload, **about):
            if self.is_full:
                raise OSError(errno.ENOSPC, "No space left on device")
            append(payload, **about)

        self.spool.append = append_or_fail  # type: ignore[method-assign]
        return self.spool


@pytest.fixture
def disk(tmp_path):
    return Disk(tmp_path)


def make(disk, **options) -> Backlog:
    return Backlog(disk.open, **options)


def put(backlog, *payloads, rows=1):
    for payload in payloads:
        backlog.put(payload, rows=rows)


def drain(backlog) -> list[bytes]:
    found = []
    while payloads := backlog.read(1):
        found += payloads
        backlog.done()
    return found


def test_records_wait_on_disk(disk):
    backlog = make(disk)
    put(backlog, b"a", b"b")
    waiting = backlog.waiting()
    assert (waiting.rows, waiting.memory_rows) == (2, 0)
    assert waiting.spool_bytes > 0
    assert waiting.oldest_s is not None
    assert drain(backlog) == [b"a", b"b"]
    waiting = backlog.waiting()
    assert (waiting.rows, waiting.spool_bytes, waiting.oldest_s) == (0, 0, None)


def test_nothing_makes_no_file(disk):
    backlog = make(disk)
    backlog.put(b"", rows=0)
    backlog.hold(b"")
    assert (disk.spool, backlog.read(1)) == (None, [])


def test_a_full_disk_makes_records_wait_in_memory_in_order(disk, caplog):
    caplog.set_level(logging.INFO, "gpuworker.sinks.backlog")
    backlog = make(disk)
    put(backlog, b"a")
    disk.is_full = True
    put(backlog, b"b", b"c")
    assert backlog.waiting().memory_rows == 2
    disk.is_full = False
    put(backlog, b"d")
    assert backlog.waiting().memory_rows == 0
    assert drain(backlog) == [b"a", b"b", b"c", b"d"]
    assert [record.levelname for record in caplog.records] == ["ERROR", "INFO"]
    assert "takes no more rows ([Errno 28] No space left on device)" in caplog.text


def test_records_in_memory_are_written_from_there(disk):
    disk.is_full = True
    backlog = make(disk)
    put(backlog, b"a", b"b", b"c")
    assert backlog.read(2) == [b"a", b"b"]
    backlog.done()
    assert drain(backlog) == [b"c"]


def test_what_the_writer_has_in_hand_is_not_overtaken(disk):
    disk.is_full = True
    backlog = make(disk)
    put(backlog, b"a", b"b")
    assert backlog.read(1) == [b"a"]
    disk.is_full = False
    put(backlog, b"c")  # would go to disk, were not a in the writer's hand
    backlog.not_done()
    assert drain(backlog) == [b"a", b"b", b"c"]


def test_what_may_change_is_held_once_it_can_be(disk, caplog):
    backlog = make(disk)
    disk.is_full = True
    for payload in (b"1", b"2"):
        backlog.hold(payload)
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    disk.is_full = False
    backlog.hold(b"3")
    assert disk.spool is not None
    assert disk.spool.held() == b"3"
    backlog.hold(b"")
    assert disk.spool.held() == b""


def test_the_oldest_go_when_there_is_no_room_at_all(disk, caplog):
    backlog = make(disk, memory_bytes=2)
    put(backlog, b"0")
    disk.is_full = True
    put(backlog, b"1", b"2", b"3", b"4", rows=5)
    assert backlog.waiting().dropped_rows == 10
    assert drain(backlog) == [b"0", b"3", b"4"]
    assert len([m for m in caplog.messages if "dropped" in m]) == 1


def test_what_the_writer_has_in_hand_is_not_dropped(disk):
    disk.is_full = True
    backlog = make(disk, memory_bytes=2)
    put(backlog, b"1", b"2")
    assert backlog.read(1) == [b"1"]
    put(backlog, b"3", b"4")
    backlog.done()
    assert drain(backlog) == [b"4"]
    assert backlog.waiting().dropped_rows == 2


def test_what_waits_is_left_for_others(disk, tmp_path):
    disk.is_full = True
    backlog = make(disk)
    put(backlog, b"a")
    disk.is_full = False
    backlog.close()
    [left] = spools_left(tmp_path)
    assert left.read(1) == [b"a"]
    left.close()

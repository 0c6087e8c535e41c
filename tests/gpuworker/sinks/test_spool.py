"""Spools: order, bounds, owners, and what kills and full disks leave."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpuworker.sinks import spool as spool_module
from gpuworker.sinks.spool import HEADER, RECORD, Spool, spool_create, spools_left
from tests.servers import short_folder

KILLED = """
import os, sys
from pathlib import Path
from gpuworker.sinks.spool import spool_create
spool = spool_create(Path(sys.argv[1]), name="plaza", max_bytes=10**6)
spool.append(b"accepted", rows=1, at_s=5.0)
print(spool.folder, flush=True)
sys.stdin.read()
"""


@pytest.fixture
def spool(tmp_path):
    made = make(tmp_path)
    yield made
    made.close()


def make(root: Path, **options) -> Spool:
    return spool_create(root, name="plaza", **({"max_bytes": 10**6} | options))


def put(spool: Spool, *payloads: bytes, rows: int = 1) -> None:
    for payload in payloads:
        spool.append(payload, rows=rows, at_s=5.0)


def drain(spool: Spool, max_rows: int = 1) -> list[bytes]:
    found = []
    while payloads := spool.read(max_rows):
        found += payloads
        spool.done()
    return found


def reopened(root: Path) -> Spool:
    [left] = spools_left(root)
    return left


def segments(spool: Spool) -> list[Path]:
    return sorted(spool.folder.glob("*.rows"))


def test_records_come_out_in_order_and_leave_nothing(spool):
    put(spool, b"a", b"", b"c" * 1000)
    assert (spool.rows, spool.accepted_at_s) == (3, 5.0)
    assert drain(spool) == [b"a", b"", b"c" * 1000]
    assert (spool.rows, spool.size, spool.accepted_at_s, segments(spool)) == (0, 0, None, [])


def test_what_is_read_stays_until_it_is_done(spool):
    put(spool, b"a", b"b")
    assert spool.read(1) == [b"a"]
    assert spool.read(1) == [b"a"]
    spool.done()
    assert spool.read(1) == [b"b"]


def test_a_read_gives_as_many_rows_as_are_asked_for_and_at_least_one_record(spool):
    put(spool, b"a", b"b", b"c", rows=10)
    assert spool.read(5) == [b"a"]
    assert spool.read(11) == [b"a", b"b"]
    assert spool.read(100) == [b"a", b"b", b"c"]


def test_long_spools_lie_in_several_files_that_go_one_by_one(spool, monkeypatch):
    monkeypatch.setattr(spool_module, "SEGMENT_BYTES", 100)
    payloads = [bytes([i]) * 50 for i in range(6)]
    put(spool, *payloads)
    assert len(segments(spool)) == 3
    assert spool.read(3) == payloads[:2]  # never across files
    spool.done()
    assert len(segments(spool)) == 2
    put(spool, b"later")
    assert drain(spool) == [*payloads[2:], b"later"]


def test_a_closed_spool_is_found_with_all_that_waits(tmp_path):
    first = make(tmp_path)
    put(first, b"a", b"b", b"c", rows=7)
    first.read(1)
    first.done()
    first.close()
    again = reopened(tmp_path)
    # how far it was read is not remembered: whoever writes it does so again, to no harm
    assert (again.rows, again.accepted_at_s) == (21, 5.0)
    assert drain(again) == [b"a", b"b", b"c"]
    again.close()
    assert list(tmp_path.iterdir()) == []


def test_an_empty_spool_leaves_no_folder(tmp_path):
    make(tmp_path).close()
    assert list(tmp_path.iterdir()) == []
    assert list(spools_left(tmp_path / "nowhere")) == []


def test_a_spool_in_use_is_not_given_to_another(tmp_path):
    mine, other = make(tmp_path), make(tmp_path)
    put(mine, b"mine")
    put(other, b"other")
    assert list(spools_left(tmp_path)) == []
    other.close()
    found = reopened(tmp_path)
    assert drain(found) == [b"other"]
    assert list(spools_left(tmp_path)) == []
    found.close()
    mine.close()


def test_a_killed_owner_leaves_what_was_accepted(tmp_path):
    owner = subprocess.Popen(
        [sys.executable, "-c", KILLED, tmp_path],
        cwd=Path(__file__).parents[3],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with owner:
        assert owner.stdout is not None
        folder = owner.stdout.readline().strip()
        assert list(spools_left(tmp_path)) == []
        owner.kill()
    found = reopened(tmp_path)
    assert (str(found.folder), drain(found)) == (folder, [b"accepted"])
    found.close()


@given(data=st.data())
def test_whatever_a_kill_cuts_off_the_records_before_it_are_whole(data):
    payloads = data.draw(st.lists(st.binary(max_size=40), min_size=1, max_size=5))
    with short_folder("spoton-spool-") as root:
        spool = make(root)
        put(spool, *payloads)
        [path] = segments(spool)
        spool.close()
        length = data.draw(st.integers(0, path.stat().st_size))
        os.truncate(path, length)
        ends = [len(HEADER)]
        for payload in payloads:
            ends.append(ends[-1] + RECORD.size + len(payload))
        again = reopened(root)
        assert drain(again) == payloads[: sum(end <= length for end in ends[1:])]
        again.close()


@given(place=st.integers(0, 10**4), flip=st.integers(1, 255))
def test_a_damaged_file_gives_records_as_they_were_or_not_at_all(place, flip):
    payloads = [bytes([i]) * 30 for i in range(4)]
    with short_folder("spoton-spool-") as root:
        spool = make(root)
        put(spool, *payloads)
        [path] = segments(spool)
        spool.close()
        damaged = bytearray(path.read_bytes())
        damaged[place % len(damaged)] ^= flip
        path.write_bytes(damaged)
        again = reopened(root)
        found = drain(again)
        assert found == payloads[: len(found)]
        again.close()


def test_a_file_of_another_version_is_put_aside(tmp_path, caplog):
    spool = make(tmp_path)
    put(spool, b"a")
    [path] = segments(spool)
    spool.close()
    path.write_bytes(path.read_bytes().replace(b"rows 1", b"rows 9"))
    again = reopened(tmp_path)
    assert drain(again) == []
    again.close()
    assert [p.name for p in again.folder.iterdir() if p.suffix] == ["000000000001.unknown"]
    assert "Rows of another version" in caplog.text


def test_a_full_spool_takes_nothing_until_it_is_read(tmp_path):
    spool = make(tmp_path, max_bytes=100)
    put(spool, b"a" * 50)
    with pytest.raises(OSError, match="the spool holds its") as caught:
        put(spool, b"b" * 50)
    assert caught.value.errno == errno.ENOSPC
    assert drain(spool) == [b"a" * 50]
    put(spool, b"c" * 50)
    assert drain(spool) == [b"c" * 50]
    spool.close()


def test_a_write_that_fails_halfway_leaves_nothing(tmp_path, monkeypatch):
    spool = make(tmp_path)
    put(spool, b"a")
    write = os.pwrite

    def fill_disk(file, data, at):
        if len(data) > 20:
            return write(file, data[:20], at)
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "pwrite", fill_disk)
    with pytest.raises(OSError, match="No space left"):
        put(spool, b"b" * 10)
    monkeypatch.undo()
    [path] = segments(spool)
    assert path.stat().st_size == spool.size
    put(spool, b"c")
    spool.close()
    again = reopened(tmp_path)
    assert drain(again) == [b"a", b"c"]
    again.close()


def test_one_payload_is_held_for_whoever_goes_on(tmp_path):
    spool = make(tmp_path)
    put(spool, b"a")
    for payload in (b"first", b"the second one", b"third"):
        spool.hold(payload)
        assert spool.held() == payload
    spool.close()
    again = reopened(tmp_path)
    assert (again.held(), drain(again)) == (b"third", [b"a"])
    again.hold(b"fourth")  # and covers the older one of the two
    assert again.held() == b"fourth"
    again.hold(b"")
    assert again.held() == b""
    again.close()
    assert list(tmp_path.iterdir()) == []


@given(cut=st.integers(0, 40), flip=st.none() | st.integers(0, 35))
def test_what_was_held_before_stays_while_the_next_is_written(cut, flip):
    with short_folder("spoton-held-") as root:
        spool = make(root)
        spool.hold(b"before")
        spool.hold(b"what a kill cuts off")
        newest = spool.folder / f"held-{2 % 2}"
        data = bytearray(newest.read_bytes())
        whole = len(data)
        if flip is not None:
            data[flip] ^= 1
        newest.write_bytes(data[:cut])
        expected = b"what a kill cuts off" if cut >= whole and flip is None else b"before"
        assert spool.held() == expected
        spool.hold(b"")
        spool.close()


def test_a_disk_that_did_not_keep_is_asked_again(tmp_path, monkeypatch):
    spool = make(tmp_path)
    put(spool, b"a")
    asked = []

    def fail(file):
        asked.append(file)
        if len(asked) == 1:
            raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(spool_module, "_sync", fail)
    with pytest.raises(OSError, match="Input/output"):
        spool.sync()
    for _ in range(3):
        spool.sync()
    assert len(asked) == 2
    spool.close()


def test_a_disk_without_room_for_a_new_file_leaves_none(tmp_path, monkeypatch):
    spool = make(tmp_path)

    def full(file, data, at):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "pwrite", full)
    with pytest.raises(OSError, match="No space left"):
        put(spool, b"a")
    assert (segments(spool), spool.rows) == ([], 0)
    monkeypatch.undo()
    put(spool, b"a")
    spool.sync()
    assert drain(spool) == [b"a"]
    spool.close()

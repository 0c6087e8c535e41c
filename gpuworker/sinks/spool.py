"""Records on disk until somebody has taken care of them: append-only files, oldest first out, one owner at a time.

A spool is a folder of segments, files that only grow and are removed when all of their records are done with. A segment
is HEADER and then records: mark, length and CRC-32 of the payload, its number of rows, the time of its acceptance
(seconds since the epoch), and the payload. What a kill in the middle of a write leaves at the end of a segment is told
by length and checksum, and skipped: it was never accepted. The owner holds a lock on the folder, which the system gives
back when the owner's process ends, however it ends; whoever gets that lock next goes on with the records.

Beside the records a spool holds one payload that may still change, in two files that are written in turn, so that the one
before is whole while the next is written.
"""

import errno
import fcntl
import logging
import os
import struct
import threading
import zlib
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

logger = logging.getLogger(__name__)

HEADER = b"spoton rows 1\n"
MARK = b"ROWS"
RECORD = struct.Struct(">4sIIId")  # mark, length, checksum, rows, accepted at
HELD = struct.Struct(">4sIIQ")  # mark, length, checksum, count
HELD_MARK = b"HELD"
HELD_NAMES = ("held-0", "held-1")
SEGMENT_BYTES = 4_000_000  # a segment that is this long is followed by another
SUFFIX = ".rows"
UNKNOWN = ".unknown"
LOCK = "lock"

_sync = getattr(os, "fdatasync", os.fsync)  # macOS has the latter alone


@dataclass(slots=True)
class _Segment:
    """A file of records; what lies before ``position`` is done with, and nothing after ``size`` counts."""

    path: Path
    size: int
    position: int
    rows: int  # from position on
    accepted_at_s: float  # its oldest record


class Spool:
    """Takes records at one end and gives them at the other; safe to use from several threads."""

    def __init__(self, folder: Path, lock: int, *, max_bytes: int) -> None:
        """Go on with the records in a folder whose lock is held; see :func:`spool_create`, :func:`spools_left`."""
        self.folder = folder
        self._lock_file = lock
        self._max_bytes = max_bytes
        self._lock = threading.Lock()
        found = (_segment_scan(path) for path in sorted(folder.glob(f"*{SUFFIX}")))
        self._segments: deque[_Segment] = deque(segment for segment in found if segment is not None)
        self._next = 1 + max((int(path.stem) for path in folder.glob(f"*{SUFFIX}")), default=0)
        self._file: int | None = None  # the last segment, while it grows
        self._ended: list[int] = []  # files of segments before it that the disk has not made sure of
        self._held_files: dict[str, int] = {}
        self._held_count = 1 + max((count for count, _ in self._held_on_disk()), default=0)
        self._is_synced = True
        self._read_until = 0
        self._read_rows = 0
        self._read_at_s = 0.0

    @property
    def rows(self) -> int:
        """Give how many rows wait."""
        with self._lock:
            return sum(segment.rows for segment in self._segments)

    @property
    def size(self) -> int:
        """Give the bytes on disk."""
        with self._lock:
            return sum(segment.size for segment in self._segments)

    @property
    def accepted_at_s(self) -> float | None:
        """Give when the oldest record was accepted, or one shortly before it; None when there is none."""
        with self._lock:
            return self._segments[0].accepted_at_s if self._segments else None

    def append(self, payload: bytes, *, rows: int, at_s: float) -> None:
        """Accept a record; it survives the end of this process, and that of the machine after :meth:`sync`.

        Raises:
            OSError: it could not be written, and nothing of it counts: the disk or the spool is full, say.
        """
        record = RECORD.pack(MARK, len(payload), zlib.crc32(payload), rows, at_s) + payload
        with self._lock:
            if sum(segment.size for segment in self._segments) + len(record) > self._max_bytes:
                raise OSError(errno.ENOSPC, f"the spool holds its {self._max_bytes / 1e6:g} MB")
            if self._file is None or self._segments[-1].size >= SEGMENT_BYTES:
                self._begin_segment(at_s)
            segment = self._segments[-1]
            self._write(record, at=segment.size)
            segment.size += len(record)
            segment.rows += rows
            self._is_synced = False

    def read(self, max_rows: int) -> list[bytes]:
        """Give the oldest records, in order, at least one; nothing when there are none.

        One thread reads; others append meanwhile.
        """
        while True:
            with self._lock:
                if not self._segments:
                    return []
                segment, size = self._segments[0], self._segments[0].size
            payloads = self._read_segment(segment, size, max_rows)
            if payloads:
                return payloads
            self._drop_read(segment)

    def done(self) -> None:
        """Forget what the last :meth:`read` gave."""
        with self._lock:
            segment = self._segments[0]
            segment.position = self._read_until
            segment.rows -= self._read_rows
            segment.accepted_at_s = self._read_at_s
        self._drop_read(segment)

    def hold(self, payload: bytes) -> None:
        """Hold a payload in place of the one before, for whoever goes on after this process; none where it is empty.

        Raises:
            OSError: it could not be written; the one before is held.
        """
        with self._lock:
            if not payload:
                self._release_held()
                return
            name = HELD_NAMES[self._held_count % 2]
            if name not in self._held_files:
                path = self.folder / name
                self._held_files[name] = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
            head = HELD.pack(HELD_MARK, len(payload), zlib.crc32(payload), self._held_count)
            _write_all(self._held_files[name], head + payload, at=0)
            self._held_count += 1

    def held(self) -> bytes:
        """Give the payload that is held; empty where there is none."""
        with self._lock:
            return max(self._held_on_disk(), default=(0, b""))[1]

    def sync(self) -> None:
        """Make what was accepted survive the end of the machine.

        Raises:
            OSError: the disk did not take it.
        """
        with self._lock:
            files, self._ended = self._ended, []
            if self._file is not None and not self._is_synced:
                files.append(os.dup(self._file))
            self._is_synced = True
        try:
            for file in files:
                _sync(file)
            if files:
                _sync_folder(self.folder)
        except OSError:
            self._is_synced = False
            raise
        finally:
            for file in files:
                os.close(file)

    def close(self) -> None:
        """Let go of the folder, for somebody else to go on with; remove it when nothing is in it."""
        with self._lock:
            for file in (*self._ended, *self._held_files.values()):
                os.close(file)
            self._ended, self._held_files = [], {}
            self._close_file()
            if {path.name for path in self.folder.iterdir()} == {LOCK}:
                (self.folder / LOCK).unlink()
                self.folder.rmdir()
            os.close(self._lock_file)

    def _begin_segment(self, at_s: float) -> None:
        if self._file is not None:
            self._ended.append(self._file)  # nobody waits for the disk here
            self._file = None
        path = self.folder / f"{self._next:012d}{SUFFIX}"
        self._next += 1
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            self._write(HEADER, at=0)
        except OSError:
            self._close_file()
            path.unlink(missing_ok=True)
            raise
        self._segments.append(_Segment(path, len(HEADER), len(HEADER), 0, at_s))

    def _write(self, data: bytes, *, at: int) -> None:
        """Write all of it at a place in the file, or leave the file as it was."""
        if self._file is None:
            raise OSError(errno.EBADF, "no segment")
        try:
            _write_all(self._file, data, at=at)
        except OSError:
            # the next record goes to the same place; should this fail too, it covers what is left there
            os.truncate(self._file, at)
            raise

    def _read_segment(self, segment: _Segment, size: int, max_rows: int) -> list[bytes]:
        payloads: list[bytes] = []
        rows, position = 0, segment.position
        with segment.path.open("rb") as file:
            file.seek(position)
            while position < size and rows < max_rows:
                head = file.read(RECORD.size).ljust(RECORD.size, b"\0")
                mark, length, checksum, count, self._read_at_s = RECORD.unpack(head)
                payload = file.read(length)
                if mark != MARK or zlib.crc32(payload) != checksum:
                    with self._lock:
                        lost, segment.size = segment.size - position, position
                    logger.error("%s is damaged: its last %d bytes are lost", segment.path, lost)
                    break
                payloads.append(payload)
                rows += count
                position += RECORD.size + length
        self._read_until, self._read_rows = position, rows
        return payloads

    def _drop_read(self, segment: _Segment) -> None:
        """Remove the oldest segment if all of it is done with."""
        with self._lock:
            if segment.position < segment.size:
                return
            self._segments.popleft()
            if not self._segments:
                self._close_file()
        segment.path.unlink(missing_ok=True)

    def _held_on_disk(self) -> Iterator[tuple[int, bytes]]:
        """Give what the two files hold that are whole, with their counts."""
        for name in HELD_NAMES:
            try:
                data = (self.folder / name).read_bytes()
            except FileNotFoundError:
                continue
            mark, length, checksum, count = HELD.unpack(data[: HELD.size].ljust(HELD.size, b"\0"))
            payload = data[HELD.size : HELD.size + length]
            if mark == HELD_MARK and len(payload) == length and zlib.crc32(payload) == checksum:
                yield count, payload

    def _release_held(self) -> None:
        # the older one first: a kill in between leaves the newer
        for count in (self._held_count, self._held_count + 1):
            name = HELD_NAMES[count % 2]
            if name in self._held_files:
                os.close(self._held_files.pop(name))
            (self.folder / name).unlink(missing_ok=True)

    def _close_file(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None


def spool_create(root: Path, *, name: str, max_bytes: int) -> Spool:
    """Make a spool of one's own in a folder of spools.

    Raises:
        OSError: the folder cannot be made or written to.
    """
    while True:
        folder = root / f"{name}-{uuid4().hex[:12]}"
        folder.mkdir(parents=True)
        lock = _lock(folder)
        if lock is not None:
            _sync_folder(root)
            return Spool(folder, lock, max_bytes=max_bytes)


def spools_left(root: Path) -> Iterator[Spool]:
    """Give the spools that nobody owns, oldest first; each is the caller's until it is closed."""
    folders = [path for path in root.glob("*") if path.is_dir()] if root.is_dir() else []
    for folder in sorted(folders, key=_made_at):
        try:
            lock = _lock(folder)
            if lock is not None:
                yield Spool(folder, lock, max_bytes=0)
        except OSError as error:
            logger.error("The rows in %s cannot be read: %s", folder, error)


def _made_at(folder: Path) -> float:
    try:
        return folder.stat().st_ctime
    except OSError:  # its owner has just removed it
        return 0.0


def _lock(folder: Path) -> int | None:
    """Take the lock of a folder; None when another owner has it or has removed the folder."""
    path = folder / LOCK
    try:
        file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # an owner who was faster may have removed what was opened here
        if os.path.samestat(os.fstat(file), path.stat()):
            return file
    except OSError:
        logger.debug("%s is somebody's", folder)
    os.close(file)
    return None


def _segment_scan(path: Path) -> _Segment | None:
    """Find the whole records of a segment; None for a file of another kind, which is put aside."""
    with path.open("rb") as file:
        end = os.fstat(file.fileno()).st_size
        header = file.read(len(HEADER))
        if header != HEADER:
            if not HEADER.startswith(header):
                path = path.rename(path.with_suffix(UNKNOWN))
                logger.error("Rows of another version of SpotOn are left in %s", path)
                return None
            return _Segment(path, len(header), len(header), 0, path.stat().st_mtime)
        segment = _Segment(path, len(HEADER), len(HEADER), 0, path.stat().st_mtime)
        while len(head := file.read(RECORD.size)) == RECORD.size:
            mark, length, _, rows, accepted_at_s = RECORD.unpack(head)
            if mark != MARK or segment.size + RECORD.size + length > end:
                break
            if not segment.rows:
                segment.accepted_at_s = accepted_at_s
            segment.size += RECORD.size + length
            segment.rows += rows
            file.seek(segment.size)
    if segment.size < end:
        logger.warning("%s: the last %d bytes were never accepted", path, end - segment.size)
    return segment


def _write_all(file: int, data: bytes, *, at: int) -> None:
    written = 0
    while written < len(data):
        written += os.pwrite(file, data[written:], at + written)


def _sync_folder(folder: Path) -> None:
    file = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(file)
    finally:
        os.close(file)

"""Folders of pictures as sources."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import cv2
import numpy as np
import pytest

from gpuworker.pipeline.seams import EndOfSource, Source, UnusableSourceError
from gpuworker.pipeline.values import Frame
from gpuworker.sources import open_source
from gpuworker.sources.sim.worlds import Worlds

START = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number in (1, 2, 4):
        picture = np.full((8, 12, 3), 10 * number, np.uint8)
        cv2.imwrite(str(tmp_path / f"{number:06d}.png"), picture)
    (tmp_path / "notes.txt").write_text("not a picture")
    return tmp_path


def opened(url: str, started_at: datetime = START, *, paced: bool = False) -> Source:
    return open_source(url, camera_id="c1", started_at=started_at, worlds=Worlds(), paced=paced)


def shown(source: Source, count: int) -> list[tuple[int, float, int]]:
    frames: list[Frame] = []
    while len(frames) < count:
        frame = source.read()
        if frame is not None:
            frames.append(frame)
    return [(f.seq, (f.captured_at - START).total_seconds(), int(f.image[0, 0, 0])) for f in frames]


def test_pictures_come_at_the_time_of_their_number(folder):
    source = opened(f"images://{folder}?fps=2")
    assert shown(source, 3) == [(0, 0.0, 10), (1, 0.5, 20), (2, 1.5, 40)]
    with pytest.raises(EndOfSource, match="over after 3 pictures"):
        source.read()


def test_looped_pictures_keep_the_time_of_the_loop(folder):
    source = opened(f"images://{folder}?fps=2&loop=5")
    assert shown(source, 5) == [(0, 0.0, 10), (1, 0.5, 20), (2, 1.5, 40), (3, 5.0, 10), (4, 5.5, 20)]


def test_pictures_beyond_the_loop_are_left_out(folder):
    source = opened(f"images://{folder}?fps=2&loop=1")
    assert shown(source, 3) == [(0, 0.0, 10), (1, 0.5, 20), (2, 1.0, 10)]


def test_unreadable_picture_is_left_out(folder, caplog):
    (folder / "000002.png").write_bytes(b"no picture")
    (folder / "000003.png").write_bytes(b"")
    assert shown(opened(f"images://{folder}?fps=1"), 2) == [(0, 0.0, 10), (3, 3.0, 40)]
    assert caplog.text.count("is not a picture that can be read") == 2


def test_late_joiner_sees_the_present(folder):
    started_at = datetime.now(UTC) - timedelta(seconds=1000.2)
    source = opened(f"images://{folder}?fps=2&loop=100", started_at, paced=True)
    frame = source.read()
    assert frame is not None
    assert (frame.captured_at - started_at).total_seconds() in (1000.5, 1001.5)
    assert source.live


def test_recording_that_is_long_over_ends_at_once(folder):
    source = opened(f"images://{folder}?fps=2", datetime.now(UTC) - timedelta(hours=1), paced=True)
    with pytest.raises(EndOfSource):
        source.read()


def test_wrong_folders_are_refused(tmp_path, folder):
    empty = tmp_path / "empty"
    empty.mkdir()
    for url, message in (
        (f"images://{empty}", "holds no pictures named 000001.jpg"),
        ("images:///does/not/exist", "no such folder"),
        ("images://scenes/c1", "three slashes"),
        (f"images://{folder}?fps=0", "fps must be more than 0"),
    ):
        with pytest.raises(UnusableSourceError, match=message):
            opened(url)

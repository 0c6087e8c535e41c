import os

import numpy as np
import pytest

from environments.encryption import KeyRing
from gpuworker.pipeline.gallery import NEVER, Entries, Gallery
from gpuworker.sinks import gallery_file
from gpuworker.sinks.gallery_file import GalleryFileError, OtherModelError, gallery_read, gallery_write

RING = KeyRing([b"k" * 32])


def no_index(embeddings):
    return None


@pytest.fixture
def gallery(monkeypatch):
    monkeypatch.setattr(gallery_file, "ROWS", 4)
    rows = np.random.default_rng(0).normal(size=(10, 6))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    made = Gallery("net@1", 6, make_index=no_index)
    made.add(Entries(np.arange(10) * 3, rows.astype(np.float32), np.array([NEVER] * 9 + [50.0])))
    return made


def read(path, model="net@1", ring=RING):
    return gallery_read(path, ring, model=model, make_index=no_index)


def test_what_is_written_is_read_again(gallery, tmp_path):
    path = tmp_path / "deep" / "gallery"
    gallery_write(path, gallery, RING)
    for got, expected in zip(
        *((e.keys, e.embeddings, e.expires_s) for e in (read(path).entries, gallery.entries)), strict=True
    ):
        assert got.tobytes() == expected.tobytes()
    assert [p.name for p in path.parent.iterdir()] == ["gallery"]


def test_looks_are_sealed(gallery, tmp_path):
    gallery_write(tmp_path / "gallery", gallery, RING)
    content = (tmp_path / "gallery").read_bytes()
    assert gallery.entries.embeddings[0].tobytes() not in content
    assert b"net@1" not in content
    with pytest.raises(GalleryFileError, match="FIELD_ENCRYPTION_KEYS lacks the key"):
        read(tmp_path / "gallery", ring=KeyRing([b"o" * 32]))


def test_a_gallery_of_another_model_is_refused(gallery, tmp_path):
    gallery_write(tmp_path / "gallery", gallery, RING)
    with pytest.raises(
        OtherModelError, match=r"holds embeddings of net@1, not of net@2: they do not compare"
    ):
        read(tmp_path / "gallery", "net@2")


def test_a_write_that_fails_leaves_what_was_there(gallery, tmp_path, monkeypatch):
    path = tmp_path / "gallery"
    gallery_write(path, gallery, RING)
    before = path.read_bytes()

    def full(number):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        gallery_write(path, gallery, RING)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["gallery"]


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda content: b"something else" * 9, "is no gallery"),
        (lambda content: content[:-3], "is damaged: it ends in the middle"),
        (lambda content: content[:-5] + b"12345", "cannot be read"),
        (lambda content: content + b"\xff" * 8, "is damaged: it ends in the middle"),
    ],
)
def test_damage_is_told(gallery, tmp_path, damage, message):
    path = tmp_path / "gallery"
    gallery_write(path, gallery, RING)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(GalleryFileError, match=message):
        read(path)


def test_a_part_that_is_missing_is_told(gallery, tmp_path):
    path = tmp_path / "gallery"
    gallery_write(path, gallery, RING)
    content = path.read_bytes()
    at, ends = len(gallery_file.START), []
    while at < len(content):
        at += 8 + int.from_bytes(content[at : at + 8], "big")
        ends.append(at)
    path.write_bytes(content[: ends[-2]])
    with pytest.raises(GalleryFileError, match="8 of 10 entries are there"):
        read(path)


def test_no_file_is_no_gallery(tmp_path):
    with pytest.raises(FileNotFoundError):
        read(tmp_path / "none")

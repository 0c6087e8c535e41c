"""A gallery of embeddings in a file: sealed, as looks are personal data, and replaced as a whole or not at all."""

import os
import struct
from collections.abc import Iterator
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import BinaryIO

import msgpack
import numpy as np

from environments.encryption import KeyRing, Undecryptable
from gpuworker.pipeline.gallery import Entries, Gallery, MakeIndex

START = b"SPOTON GALLERY 1\n"
ROWS = 20_000  # entries that are sealed together
LENGTH = struct.Struct(">Q")
LONGEST = 1 << 30  # bytes of a sealed part; more is damage


class GalleryFileError(ValueError):
    """A file that is no gallery, is damaged, or is of another model; the message says which, on one line."""


class OtherModelError(GalleryFileError):
    """A gallery of another model: what is in it has to be described anew."""


def gallery_write(path: Path, gallery: Gallery, ring: KeyRing) -> None:
    """Write everything that counts in a gallery.

    Raises:
        OSError: it cannot be written; what was there before still is.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
        try:
            file.write(START)
            for i, part in enumerate(_parts(gallery)):
                sealed = ring.seal_bytes(part, context=_context(i))
                file.write(LENGTH.pack(len(sealed)) + sealed)
            file.flush()
            os.fsync(file.fileno())
            Path(file.name).replace(path)
        except BaseException:
            Path(file.name).unlink(missing_ok=True)
            raise


def gallery_read(path: Path, ring: KeyRing, *, model: str, make_index: MakeIndex) -> Gallery:
    """Read a gallery of a model; its index is built in the background.

    Raises:
        FileNotFoundError: there is none.
        OtherModelError: it is of another model.
        GalleryFileError: it cannot be read.
    """
    with path.open("rb") as file:
        if file.read(len(START)) != START:
            raise GalleryFileError(f"{path} is no gallery")
        parts = _opened(path, file, ring)
        about = msgpack.unpackb(next(parts, b"\x80"))
        if about.get("model") != model:
            raise OtherModelError(
                f"{path} holds embeddings of {about.get('model')}, not of {model}: they do not compare"
            )
        gallery = Gallery(model, about["dimension"], make_index=make_index)
        for part in parts:
            gallery.add(_entries(msgpack.unpackb(part), about["dimension"]))
    if len(gallery) != about["count"]:
        raise GalleryFileError(f"{path} is damaged: {len(gallery)} of {about['count']} entries are there")
    return gallery


def _parts(gallery: Gallery) -> Iterator[bytes]:
    entries = gallery.entries
    yield msgpack.packb({"model": gallery.model, "dimension": gallery.dimension, "count": len(entries)})
    for start in range(0, len(entries), ROWS):
        some = entries.select(slice(start, start + ROWS))
        yield msgpack.packb(
            {
                "keys": some.keys.astype("<i8").tobytes(),
                "expires_s": some.expires_s.astype("<f8").tobytes(),
                "embeddings": some.embeddings.astype("<f4").tobytes(),
            }
        )


def _opened(path: Path, file: BinaryIO, ring: KeyRing) -> Iterator[bytes]:
    count = 0
    while head := file.read(LENGTH.size):
        size = LENGTH.unpack(head)[0] if len(head) == LENGTH.size else LONGEST + 1
        sealed = file.read(size) if size <= LONGEST else b""
        if len(sealed) != size:
            raise GalleryFileError(f"{path} is damaged: it ends in the middle")
        try:
            yield ring.open_bytes(sealed, context=_context(count))
        except Undecryptable as error:
            raise GalleryFileError(f"{path} cannot be read: {error}") from error
        count += 1


def _entries(part: dict[str, bytes], dimension: int) -> Entries:
    return Entries(
        np.frombuffer(part["keys"], "<i8").astype(np.int64),
        np.frombuffer(part["embeddings"], "<f4").astype(np.float32).reshape(-1, dimension),
        np.frombuffer(part["expires_s"], "<f8").astype(np.float64),
    )


def _context(part: int) -> str:
    return f"gallery file, part {part}"

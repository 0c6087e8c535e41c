"""Downloads of weights: checked by their checksum, resumed where they broke off, never over a good file."""

import hashlib
import os
import shutil
from collections.abc import Callable
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import Request, build_opener

from gpuworker.model_catalogue import CatalogueEntry

CHUNK = 1 << 20
TIMEOUT_S = 30.0
PARTIAL = ".part"
PARTIAL_CONTENT, RANGE_NOT_SATISFIABLE = 206, 416  # HTTP status

Progress = Callable[[int, int | None], None]
"""Is told how many bytes there are by now, and how many there will be where the server says it."""


class DownloadError(Exception):
    """A file that could not be had; the message says why and what to do, on one line."""


def is_good(path: Path, sha256: str) -> bool:
    """Say whether a file is there with that checksum."""
    return path.is_file() and digest_of(path) == sha256


def digest_of(path: Path) -> str:
    """Give the SHA-256 of a file, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fetch(entry: CatalogueEntry, folder: Path, *, progress: Progress) -> bool:
    """Download weights into a folder unless they are there; give whether anything was downloaded.

    What came before a connection broke is kept beside as ``.part`` and goes on from there the next time. Proxies are
    those of the environment (``https_proxy``, ``no_proxy``).

    Raises:
        DownloadError: the server, the disk or the checksum does not allow it, or another file has that name.
    """
    target = folder / entry.file_name
    if target.exists():
        if is_good(target, entry.sha256):
            return False
        raise DownloadError(
            f"{target} is another file than the official one (SHA-256 {entry.sha256}): move it away to download it"
        )
    partial = target.with_name(target.name + PARTIAL)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _receive(entry, partial, progress)
        if not is_good(partial, entry.sha256):
            partial.unlink()
            raise DownloadError(
                f"{entry.url} gave another file than the official one: its SHA-256 is not {entry.sha256}; "
                "nothing was kept"
            )
        partial.replace(target)
    except OSError as error:
        raise DownloadError(f"{target} cannot be written: {error}") from error
    return True


def _receive(entry: CatalogueEntry, partial: Path, progress: Progress) -> None:
    """Write what the server gives behind what is there already."""
    had = partial.stat().st_size if partial.exists() else 0
    request = Request(entry.url, headers={"Range": f"bytes={had}-"} if had else {})  # noqa: S310
    try:
        # an opener of its own: the usual one remembers the proxies of its first use
        with build_opener().open(request, timeout=TIMEOUT_S) as answer:
            if had and answer.status != PARTIAL_CONTENT:
                had = 0  # the server does not resume
            _write(answer, partial, had, entry, progress)
    except HTTPError as error:
        error.close()
        if error.code == RANGE_NOT_SATISFIABLE and had:
            return  # all of it is there; the checksum tells
        raise DownloadError(
            _by_hand(entry, partial, f"the server answers {error.code} {error.reason}")
        ) from error
    except (URLError, TimeoutError, ConnectionError, HTTPException) as error:
        reason = getattr(error, "reason", error)
        raise DownloadError(_by_hand(entry, partial, str(reason) or type(reason).__name__)) from error


def _write(answer: HTTPResponse, partial: Path, had: int, entry: CatalogueEntry, progress: Progress) -> None:
    announced = answer.headers.get("Content-Length")
    whole = had + int(announced) if announced and announced.isdecimal() else None
    free = shutil.disk_usage(partial.parent).free
    if whole is not None and whole - had > free:
        raise DownloadError(
            f"{partial.parent} has {free / 1e6:.0f} MB left and {entry.file_name} needs {(whole - had) / 1e6:.0f}: "
            "make room and run the same command again"
        )
    with partial.open("ab" if had else "wb") as file:
        while chunk := answer.read(CHUNK):
            file.write(chunk)
            had += len(chunk)
            progress(had, whole)
        file.flush()
        os.fsync(file.fileno())
    if whole is not None and had < whole:
        raise DownloadError(
            f"{entry.url}: the connection ended after {had} of {whole} bytes: run the same command again to go on"
        )


def _by_hand(entry: CatalogueEntry, partial: Path, reason: str) -> str:
    target = partial.with_name(entry.file_name)
    return (
        f"{entry.url} cannot be reached ({reason}): set https_proxy where there is a proxy, or download it on "
        f"another machine and put it at {target} (SHA-256 {entry.sha256})"
    )

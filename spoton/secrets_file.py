"""Write an installation's secrets once: `python -m spoton.secrets_file DATA`, before there are any settings."""

import base64
import os
import secrets
import sys
import tempfile
from pathlib import Path

SOCKET_PATH_LIMIT = 100  # bytes; a Unix socket's address holds 107 on Linux and 103 on macOS


class FolderUnusable(ValueError):  # noqa: N818 - a state of things, not a fault
    """The data folder cannot be written."""


def secrets_write(folder: Path) -> None:
    """Add what the folder's ``.env`` lacks: keys, and a shorter Redis socket where the folder's path is too long.

    Raises:
        FolderUnusable: the folder or the file cannot be written.
    """
    path = folder / ".env"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        present = path.read_text() if path.exists() else ""
        names = {line.partition("=")[0].strip() for line in present.splitlines()}
        missing = {name: value for name, value in _values(folder).items() if name not in names}
        if missing:
            with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "a") as file:
                file.write("\n" if present and not present.endswith("\n") else "")
                file.writelines(f"{name}={value}\n" for name, value in missing.items())
        path.chmod(0o600)
    except OSError as error:
        raise FolderUnusable(
            f"{error.filename or folder} cannot be written ({error.strerror}): choose another folder with DATA=/path"
        ) from error


def _values(folder: Path) -> dict[str, str]:
    values = {
        "SECRET_KEY": secrets.token_urlsafe(50),
        "FIELD_ENCRYPTION_KEYS": base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
        "DEMO_PASSWORD": secrets.token_urlsafe(9),
    }
    if len(os.fsencode(folder / "redis.sock")) > SOCKET_PATH_LIMIT:
        values["REDIS_URL"] = f"unix://{tempfile.gettempdir()}/spoton-{secrets.token_hex(8)}/redis.sock"
    return values


if __name__ == "__main__":
    try:
        secrets_write(Path(sys.argv[1]).resolve())
    except FolderUnusable as unusable:
        sys.exit(str(unusable))

"""An installation's secrets: written once, private, and never replaced."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from dotenv import dotenv_values

from spoton.secrets_file import FolderUnusable, secrets_write


def test_secrets_write_makes_a_private_file(tmp_path: Path):
    folder = tmp_path / "new" / "data"
    secrets_write(folder)
    assert stat.S_IMODE((folder / ".env").stat().st_mode) == 0o600
    assert set(dotenv_values(folder / ".env")) >= {"SECRET_KEY", "FIELD_ENCRYPTION_KEYS", "DEMO_PASSWORD"}


def test_secrets_write_keeps_what_is_there(tmp_path: Path):
    (tmp_path / ".env").write_text("SECRET_KEY=mine")
    secrets_write(tmp_path)
    first = (tmp_path / ".env").read_text()
    secrets_write(tmp_path)
    assert (tmp_path / ".env").read_text() == first
    assert dotenv_values(tmp_path / ".env")["SECRET_KEY"] == "mine"
    assert dotenv_values(tmp_path / ".env")["FIELD_ENCRYPTION_KEYS"]


def test_secrets_write_gives_two_installations_different_keys(tmp_path: Path):
    secrets_write(tmp_path / "a")
    secrets_write(tmp_path / "b")
    assert (
        dotenv_values(tmp_path / "a" / ".env")["SECRET_KEY"]
        != dotenv_values(tmp_path / "b" / ".env")["SECRET_KEY"]
    )


def test_secrets_write_moves_the_socket_of_a_long_path(tmp_path: Path):
    folder = tmp_path / ("a" * 100)
    secrets_write(folder)
    url = dotenv_values(folder / ".env")["REDIS_URL"]
    assert url is not None
    assert len(url.removeprefix("unix://")) < 100


def test_secrets_write_says_which_folder_is_unusable(tmp_path: Path):
    (tmp_path / "file").touch()
    with pytest.raises(FolderUnusable, match=r"file.* cannot be written .*DATA="):
        secrets_write(tmp_path / "file" / "data")


def test_settings_read_the_written_file(tmp_path: Path):
    secrets_write(tmp_path)
    environment = {name: value for name, value in os.environ.items() if name != "SECRET_KEY"}
    answer = subprocess.run(
        [sys.executable, "-c", "from spoton import settings; print(settings.SECRET_KEY)"],
        env=environment | {"SPOTON_DATA": str(tmp_path)},
        cwd=Path(__file__).resolve().parents[2],
        capture_output=True,
        text=True,
        check=True,
    )
    assert answer.stdout.strip() == dotenv_values(tmp_path / ".env")["SECRET_KEY"]

"""Settings: what is missing or wrong stops the start with one clear line."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SECRETS = {
    "SECRET_KEY": "a secret that is long enough for everybody, and for tests only",
    "FIELD_ENCRYPTION_KEYS": "Zm9yIHRlc3RzIG9ubHksIHRoaXJ0eS10d28gYnl0ZXM=",
}


def check(tmp_path: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    env = {"PATH": os.environ["PATH"], "SPOTON_DATA": str(tmp_path), **SECRETS} | environment
    return subprocess.run(
        [sys.executable, "manage.py", "check"], cwd=ROOT, env=env, capture_output=True, text=True, timeout=60
    )


def test_settings_from_nothing_but_secrets_are_enough(tmp_path):
    done = check(tmp_path)
    assert done.returncode == 0
    assert done.stdout == "System check identified no issues (0 silenced).\n"


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({"SECRET_KEY": ""}, "SECRET_KEY is not set: set it in the environment, or run 'make demo'"),
        (
            {"FIELD_ENCRYPTION_KEYS": ""},
            "FIELD_ENCRYPTION_KEYS is not set: set it in the environment, or run",
        ),
        (
            {"FIELD_ENCRYPTION_KEYS": "c2hvcnQ="},
            "FIELD_ENCRYPTION_KEYS: expected keys of 32 bytes in URL-safe",
        ),
        (
            {"FIELD_ENCRYPTION_KEYS": "non sense"},
            "FIELD_ENCRYPTION_KEYS: expected keys of 32 bytes in URL-safe",
        ),
        ({"JWT_PRIVATE_KEY_FILE": "/no/such.pem"}, "JWT_PRIVATE_KEY_FILE: /no/such.pem cannot be read"),
        ({"DATABASE_URL": "mysql://a/b"}, "DATABASE_URL has an unknown scheme: use sqlite:///PATH"),
        ({"DATABASE_URL": "postgres://u:p@h:port/db"}, "DATABASE_URL cannot be read"),
        ({"SPOTON_SPOOL_MB": "0"}, "SPOTON_SPOOL_MB must be a number, 1 at least"),
        ({"SPOTON_POINT_INTERVAL_S": "often"}, "SPOTON_POINT_INTERVAL_S must be a number, from 0 to 3600"),
        ({"SPOTON_DATA": "/dev/null/var"}, "SPOTON_DATA: /dev/null/var cannot be made (Not a directory)"),
        ({"EMAIL_URL": "mail.example.org"}, "EMAIL_URL: use smtp+tls://USER:PASSWORD@HOST (STARTTLS"),
        ({"EMAIL_URL": "smtp://user:secret@host:port"}, "EMAIL_URL: name the host, and its port as a number"),
        (
            {"SPOTON_WEBHOOK_NETWORKS": "here"},
            "SPOTON_WEBHOOK_NETWORKS: expected networks such as 10.0.0.0/8",
        ),
        ({"SPOTON_POINT_LAG_S": "nan"}, "SPOTON_POINT_LAG_S must be a number, from 0 to 10"),
    ],
)
def test_settings_that_are_wrong_are_said_in_one_line(tmp_path, environment, message):
    done = check(tmp_path, **environment)
    assert done.returncode == 1
    assert done.stderr.startswith(f"SpotOn is not configured: {message}")
    assert len(done.stderr.splitlines()) == 1

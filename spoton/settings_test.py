"""Settings of the tests: the same file, with its own secrets and a throw-away data folder."""

import os
import tempfile

os.environ.setdefault("SECRET_KEY", "a key for tests only, long enough to satisfy everybody who asks")
os.environ.setdefault("SPOTON_DATA", tempfile.mkdtemp(prefix="spoton-test-"))

from spoton.settings import *  # noqa: F403

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]

STATIC_ROOT = DATA_DIR / "static"  # noqa: F405
STATIC_ROOT.mkdir(exist_ok=True)  # nothing is collected for tests: whitenoise warns of a folder that is missing

if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":  # noqa: F405
    # a file, as in production: several threads cannot wait for each other's writes in a database in memory
    DATABASES["default"]["TEST"] = {"NAME": str(DATA_DIR / "test.sqlite3")}  # noqa: F405

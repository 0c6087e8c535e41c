"""Settings of the tests: the same file, with its own secrets and a throw-away data folder."""

import atexit
import os
import shutil
import tempfile

os.environ.setdefault("SECRET_KEY", "a key for tests only, long enough to satisfy everybody who asks")
os.environ.setdefault("FIELD_ENCRYPTION_KEYS", "Zm9yIHRlc3RzIG9ubHksIHRoaXJ0eS10d28gYnl0ZXM=")
# never the folder that SPOTON_DATA names: a demo may be running on it; processes of one test run share theirs
if "SPOTON_TEST_DATA" not in os.environ:
    os.environ["SPOTON_TEST_DATA"] = tempfile.mkdtemp(prefix="spoton-test-")
    atexit.register(shutil.rmtree, os.environ["SPOTON_TEST_DATA"], ignore_errors=True)
os.environ["SPOTON_DATA"] = os.environ["SPOTON_TEST_DATA"]

from spoton.settings import *  # noqa: F403

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]

if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":  # noqa: F405
    # a file, as in production: several threads cannot wait for each other's writes in a database in memory
    DATABASES["default"]["TEST"] = {"NAME": str(DATA_DIR / "test.sqlite3")}  # noqa: F405

# each process of a test run is a machine of its own: none picks up what another has left
SPOTON_SPOOL = DATA_DIR / f"spool-{os.getpid()}"  # noqa: F405
# look static files up when they are asked for: every test client would read all of them first
WHITENOISE_AUTOREFRESH = True

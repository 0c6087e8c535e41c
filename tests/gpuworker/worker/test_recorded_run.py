"""The worker itself over the simulated plaza, recorded while it runs and replayed afterwards."""

import threading

import pytest
from django.core.management import call_command

from gpuworker.replay import replay
from gpuworker.site_setup import plaza_ensure
from gpuworker.worker import Worker
from tests.servers import wait_for
from tracking.models import Track, TrackEvent

pytestmark = pytest.mark.django_db(transaction=True)


def test_live_run_is_reproduced_bit_for_bit(settings, tmp_path, capsys):
    settings.SPOTON_SPOOL = tmp_path / "spool"
    settings.SPOTON_RECORDINGS, settings.SPOTON_RECORD_MB = tmp_path / "recordings", 50.0
    settings.MEDIA_ROOT = tmp_path / "media"
    plaza_ensure()
    worker = Worker(name="recorded")
    loop = threading.Thread(target=worker.run)
    loop.start()
    try:
        wait_for(lambda: Track.objects.count() >= 3 and TrackEvent.objects.exists(), timeout_s=60)
    finally:
        worker.stop()
        loop.join()
    [path] = (tmp_path / "recordings" / "plaza").iterdir()
    replayed = replay(path)
    assert replayed.ticks > 5
    assert (replayed.is_whole, replayed.difference) == (True, "")
    call_command("evaluate", replay=path)
    assert "bit for bit" in capsys.readouterr().out

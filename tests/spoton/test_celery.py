"""Every process sends tasks to our own broker."""

import subprocess
import sys

from celery import current_app
from django.conf import settings

from tests.test_packaging import ROOT


def test_application_of_pages_sends_tasks_to_our_broker():
    assert current_app.main == "spoton"
    assert current_app.conf.broker_url == settings.CELERY_BROKER_URL


def test_process_that_serves_pages_knows_the_broker():
    code = (
        "import spoton.asgi; from celery import current_app; from django.conf import settings; "
        "print(current_app.conf.broker_url == settings.CELERY_BROKER_URL)"
    )
    env = {"DJANGO_SETTINGS_MODULE": "spoton.settings_test", "PATH": ""}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=env, capture_output=True, text=True, check=True
    )
    assert done.stdout == "True\n"


def test_tasks_of_notifications_go_to_their_queue():
    route = current_app.amqp.router.route({}, "tracking.notifications.tasks.notifications_attend")
    assert route["queue"].name == "notifications"

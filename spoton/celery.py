"""Celery's application: `celery -A spoton worker`, `celery -A spoton beat`."""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "spoton.settings")

app = Celery("spoton")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
app.set_default()  # for every thread: requests are answered on many

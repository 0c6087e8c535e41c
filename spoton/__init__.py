"""The composition root. Celery's application is made with it, so that every process sends tasks to the same broker."""

from spoton.celery import app as celery_app

__all__ = ["celery_app"]

from django.apps import AppConfig

# makes it the application by which every process, pages included, sends tasks: Celery's own one knows no broker of ours
from spoton import celery as celery


class SpotOnConfig(AppConfig):
    name = "spoton"

from django.apps import AppConfig


class SpotOnConfig(AppConfig):
    name = "spoton"

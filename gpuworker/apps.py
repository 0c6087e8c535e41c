from django.apps import AppConfig


class GpuWorkerConfig(AppConfig):
    name = "gpuworker"

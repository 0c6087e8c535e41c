"""WebSocket addresses."""

from django.urls import path

from tracking.consumers import LiveConsumer
from tracking.system_consumer import SystemConsumer

websocket_urlpatterns = [
    path("ws/environments/<slug:slug>/live/", LiveConsumer.as_asgi()),
    path("ws/system/", SystemConsumer.as_asgi()),
]

"""WebSocket addresses."""

from django.urls import path

from tracking.consumers import LiveConsumer

websocket_urlpatterns = [
    path("ws/environments/<slug:slug>/live/", LiveConsumer.as_asgi()),
]

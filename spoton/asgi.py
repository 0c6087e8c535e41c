"""What daphne serves: pages over HTTP, the live view over WebSocket."""

import os

from channels.routing import ProtocolTypeRouter, URLRouter
from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "spoton.settings")
http = get_asgi_application()

# models must not be imported before get_asgi_application() has loaded the apps
from accounts.websocket import AccessMiddleware  # noqa: E402
from tracking.routing import websocket_urlpatterns  # noqa: E402

application = ProtocolTypeRouter(
    {
        "http": http,
        "websocket": AccessMiddleware(URLRouter(websocket_urlpatterns)),
    }
)

"""What daphne serves: pages over HTTP, the live view over WebSocket."""

import gc
import os

from channels.routing import ProtocolTypeRouter, URLRouter
from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "spoton.settings")
application_of_pages = get_wsgi_application()

# models must not be imported before get_wsgi_application() has loaded the apps
from accounts.websocket import AccessMiddleware  # noqa: E402
from spoton.http import ThreadedHttp  # noqa: E402
from spoton.live_answers import LiveAnswers  # noqa: E402
from tracking.routing import websocket_urlpatterns  # noqa: E402

application = ProtocolTypeRouter(
    {
        "http": LiveAnswers(ThreadedHttp(application_of_pages)),
        "websocket": AccessMiddleware(URLRouter(websocket_urlpatterns)),
    }
)

# what is there now stays: looking through it for garbage again and again would stop every answer for a fifth of a second
gc.collect()
gc.freeze()

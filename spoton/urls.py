"""Every address that SpotOn answers."""

from django.contrib import admin
from django.urls import include, path

from accounts.api import key_set
from spoton import views

handler400 = views.bad_request
handler403 = views.forbidden
handler404 = views.not_found
handler500 = views.server_error

urlpatterns = [
    path("", include("environments.urls")),
    path("", include("environments.calibrating.urls")),
    path("", include("tracking.urls")),
    path("", include("tracking.notifications.urls")),
    path("accounts/", include("accounts.urls")),
    path("admin/", admin.site.urls),
    path("api/v1/", include("spoton.api_urls")),
    path("api/schema/", views.SchemaView.as_view(), name="schema"),
    path("api/docs/", views.DocsView.as_view(url_name="schema"), name="docs"),
    path(".well-known/jwks.json", key_set, name="jwks"),
    path("healthz", views.healthz, name="healthz"),
    path("readyz", views.readyz, name="readyz"),
]

"""Every address that SpotOn answers."""

from django.contrib import admin
from django.urls import include, path

from spoton import views

urlpatterns = [
    path("", include("environments.urls")),
    path("", include("tracking.urls")),
    path("accounts/", include("accounts.urls")),
    path("admin/", admin.site.urls),
    path("healthz", views.healthz, name="healthz"),
    path("readyz", views.readyz, name="readyz"),
]

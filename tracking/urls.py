"""Addresses of the pages of a place and of the system."""

from django.urls import path

from tracking import views

urlpatterns = [
    path("environments/<slug:slug>/live/", views.live_view, name="live"),
    path("environments/<slug:slug>/replay/", views.replay_view, name="replay"),
    path("system/", views.system_view, name="system-page"),
]

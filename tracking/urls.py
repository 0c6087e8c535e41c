"""Addresses of the live view."""

from django.urls import path

from tracking import views

urlpatterns = [
    path("environments/<slug:slug>/live/", views.live_view, name="live"),
]

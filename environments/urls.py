"""Addresses of the places."""

from django.urls import path

from environments import views

urlpatterns = [
    path("", views.landing, name="landing"),
    path("environments/<slug:slug>/plan/", views.floor_plan, name="floor-plan"),
]

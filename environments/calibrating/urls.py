"""Addresses of the report on calibrations."""

from django.urls import path

from environments.calibrating import views

urlpatterns = [
    path("environments/<slug:slug>/report/", views.report, name="report"),
    path("environments/<slug:slug>/report/<slug:layer>.png", views.report_layer, name="report-layer"),
]

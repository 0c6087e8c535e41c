"""Addresses of the page of rules and alerts."""

from django.urls import path

from tracking.notifications import views

HERE = "environments/<slug:slug>/alerts/"

urlpatterns = [
    path(HERE, views.AlertsView.as_view(), name="alerts"),
    path(f"{HERE}<int:pk>/seen/", views.AlertSeenView.as_view(), name="alerts-seen"),
    path(f"{HERE}rules/new/", views.RuleView.as_view(), name="alerts-rule-new"),
    path(f"{HERE}rules/<int:pk>/", views.RuleView.as_view(), name="alerts-rule"),
    path(f"{HERE}rules/<int:pk>/test/", views.RuleTestView.as_view(), name="alerts-rule-test"),
    path(f"{HERE}rules/<int:pk>/delete/", views.RuleDeleteView.as_view(), name="alerts-rule-delete"),
    path(f"{HERE}webhooks/new/", views.WebhookView.as_view(), name="alerts-webhook-new"),
    path(f"{HERE}webhooks/<int:pk>/", views.WebhookView.as_view(), name="alerts-webhook"),
    path(f"{HERE}webhooks/<int:pk>/delete/", views.WebhookDeleteView.as_view(), name="alerts-webhook-delete"),
]

"""Every address of the REST interface under ``/api/v1/``."""

from django.urls import include, path
from rest_framework.routers import DefaultRouter

from accounts import api as accounts
from analytics import api as analytics
from environments import api as environments
from environments.calibrating import api as calibrating
from tracking import api as tracking
from tracking import camera_api as cameras
from tracking import event_api as events
from tracking import session_api as sessions
from tracking.notifications import api as notifications

router = DefaultRouter()
router.register("auth/keys", accounts.ApiKeyViewSet, "key")
router.register("users", accounts.UserViewSet, "user")
router.register("audit", accounts.AuditViewSet, "audit")
router.register("environments", environments.EnvironmentViewSet, "environment")
router.register("cameras", environments.CameraViewSet, "camera")
router.register("cameras", environments.CalibrationTrialViewSet, "camera-calibration")
router.register("cameras", cameras.CameraLookViewSet, "camera-look")
router.register("probes", cameras.ProbeViewSet, "probe")
router.register("cameras", calibrating.CameraFileViewSet, "camera-file")
router.register("camera-moves", calibrating.CameraMoveViewSet, "move")
router.register("calibration-runs", calibrating.ProposalRunViewSet, "run")
router.register("calibration-proposals", calibrating.ProposalViewSet, "proposal")
router.register("zones", environments.ZoneViewSet, "zone")
router.register("grants", environments.GrantViewSet, "grant")
router.register("sessions", sessions.SessionViewSet, "session")
router.register("persons", tracking.PersonViewSet, "person")
router.register("tracks", tracking.TrackViewSet, "track")
router.register("events", events.EventViewSet, "event")
router.register("positions", tracking.PositionViewSet, "position")
router.register("notifications/rules", notifications.RuleViewSet, "rule")
router.register("notifications/webhooks", notifications.WebhookViewSet, "webhook")
router.register("notifications/alerts", notifications.AlertViewSet, "alert")
router.register("notifications/deliveries", notifications.DeliveryViewSet, "delivery")
router.register("analytics", analytics.AnalyticsViewSet, "analytics")

urlpatterns = [
    path("auth/login/", accounts.LoginView.as_view(), name="auth-login"),
    path("auth/refresh/", accounts.RefreshView.as_view(), name="auth-refresh"),
    path("auth/logout/", accounts.LogoutView.as_view(), name="auth-logout"),
    path("auth/me/", accounts.MeView.as_view(), name="auth-me"),
    path("auth/password/", accounts.PasswordView.as_view(), name="auth-password"),
    path("environments/<slug:slug>/layout/", tracking.LayoutView.as_view(), name="environment-layout"),
    path("environments/<slug:slug>/health/", calibrating.HealthView.as_view(), name="environment-health"),
    path("environments/<slug:slug>/report/", calibrating.ReportView.as_view(), name="environment-report"),
    path("system/", tracking.SystemView.as_view(), name="system"),
    path("", include(router.urls)),
]

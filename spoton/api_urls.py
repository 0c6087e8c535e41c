"""Every address of the REST interface under ``/api/v1/``."""

from django.urls import include, path
from rest_framework.routers import DefaultRouter

from accounts import api as accounts

router = DefaultRouter()
router.register("auth/keys", accounts.ApiKeyViewSet, "key")
router.register("users", accounts.UserViewSet, "user")

urlpatterns = [
    path("auth/login/", accounts.LoginView.as_view(), name="auth-login"),
    path("auth/refresh/", accounts.RefreshView.as_view(), name="auth-refresh"),
    path("auth/logout/", accounts.LogoutView.as_view(), name="auth-logout"),
    path("auth/me/", accounts.MeView.as_view(), name="auth-me"),
    path("auth/password/", accounts.PasswordView.as_view(), name="auth-password"),
    path("", include(router.urls)),
]

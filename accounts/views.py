"""Getting in and out."""

from django.contrib.auth import views as auth_views
from django.contrib.auth.forms import AuthenticationForm
from django.http import HttpResponse
from django.utils import timezone

from accounts.auditing import address_of
from accounts.forms import LoginForm
from accounts.models import AuditAction
from accounts.services import audit_write


class LoginView(auth_views.LoginView):
    """Sign somebody in."""

    template_name = "accounts/login.html"
    authentication_form = LoginForm
    redirect_authenticated_user = True

    def form_valid(self, form: AuthenticationForm) -> HttpResponse:
        """Write down who came in."""
        answer = super().form_valid(form)
        user = form.get_user()
        audit_write(
            actor=user,
            action=AuditAction.SIGNED_IN,
            kind="user",
            now=timezone.now(),
            object_id=str(user.pk),
            name=user.get_username(),
            address=address_of(self.request),
        )
        return answer


class LogoutView(auth_views.LogoutView):
    """Sign somebody out, on POST, and go to the login page."""

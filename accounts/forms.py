"""What people type to get in."""

from typing import Any

from django.contrib.auth.forms import AuthenticationForm
from django.utils.translation import gettext_lazy as _


class LoginForm(AuthenticationForm):
    """Asks for name and password; a wrong one and a closed account get the same answer."""

    error_messages = {
        "invalid_login": _("That user name and password do not match. Check both and try again."),
        "inactive": _("That user name and password do not match. Check both and try again."),
    }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.label_suffix = ""

"""What administrators are asked for when they start tracking."""

from django import forms
from django.utils.translation import gettext_lazy as _

from environments.models import Environment
from tracking.choices import DesiredState
from tracking.models import TrackingSession


class SessionForm(forms.ModelForm):
    """Asks for the environment to track."""

    class Meta:
        model = TrackingSession
        fields = ["environment"]

    def clean_environment(self) -> Environment:
        """Refuse one that is being tracked already."""
        environment: Environment = self.cleaned_data["environment"]
        if environment.sessions.exclude(desired_state=DesiredState.STOPPED).exists():
            raise forms.ValidationError(
                _("%(environment)s is being tracked already: stop that session first."),
                params={"environment": environment},
            )
        return environment

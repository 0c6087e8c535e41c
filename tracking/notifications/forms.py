"""What people type to make rules and webhooks."""

from collections.abc import Iterator
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from environments.models import Environment
from environments.secrets import MASK
from tracking.choices import EventKind
from tracking.notifications import services
from tracking.notifications.choices import Day
from tracking.notifications.models import MAX_COOLDOWN_S, MAX_COUNT, MAX_WINDOW_S, Rule, Webhook, every_day
from tracking.notifications.words import WHENEVER

PEOPLE, PLACES, CAMERAS = _("People"), _("Zones and lines"), _("Cameras")
GROUPS = {
    PEOPLE: ("person_appeared", "person_left", "reidentified", "identity_merged", "identity_revised"),
    PLACES: ("zone_enter", "zone_leave", "line_cross", "capacity_exceeded", "capacity_restored"),
    CAMERAS: ("camera_offline", "camera_online", "camera_moved", "handover"),
}
UNITS = {"s": 1, "min": 60, "h": 3600}
UNIT_CHOICES = [("s", _("seconds")), ("min", _("minutes")), ("h", _("hours"))]
TIME = forms.TimeInput(format="%H:%M", attrs={"type": "time"})


class DurationWidget(forms.MultiWidget):
    """Asks for a number and a unit."""

    use_fieldset = False

    def __init__(self, attrs: Any = None) -> None:
        number = forms.NumberInput(attrs={"min": 0, "inputmode": "numeric"})
        unit = forms.Select(choices=UNIT_CHOICES, attrs={"aria-label": _("Unit")})
        super().__init__([number, unit], attrs)

    def id_for_label(self, id_: str) -> str:
        """Let the label be the number's."""
        return f"{id_}_0"

    def decompress(self, value: Any) -> list[Any]:
        """Write seconds in the largest unit that fits."""
        if value is None:
            return [None, "min"]
        unit = next(
            (name for name in ("h", "min") if value and value % UNITS[name] == 0), "min" if not value else "s"
        )
        return [value // UNITS[unit], unit]


class DurationField(forms.MultiValueField):
    """Reads a time; gives seconds."""

    widget = DurationWidget

    def __init__(self, *, least_s: int, most_s: int, **given: Any) -> None:
        self.least_s, self.most_s = least_s, most_s
        fields = (forms.IntegerField(min_value=0), forms.ChoiceField(choices=UNIT_CHOICES))
        super().__init__(fields, require_all_fields=True, **given)

    def compress(self, data_list: Any) -> int | None:
        """Give seconds.

        Raises:
            ValidationError: too few or too many of them.
        """
        if not data_list:
            return None
        seconds: int = data_list[0] * UNITS[data_list[1]]
        if not self.least_s <= seconds <= self.most_s:
            raise forms.ValidationError(
                _("Give %(least)d to %(most)d seconds."), params={"least": self.least_s, "most": self.most_s}
            )
        return seconds


class LinesField(forms.CharField):
    """Reads a text a line, or between commas; gives a list."""

    widget = forms.Textarea(attrs={"rows": 3, "spellcheck": "false", "autocomplete": "off"})

    def prepare_value(self, value: Any) -> Any:
        """Write a stored list as lines; what was typed stays as it was."""
        return "\n".join(value) if isinstance(value, list) else value

    def to_python(self, value: Any) -> Any:
        """Read what was typed."""
        return [text for line in str(value or "").replace(",", "\n").split("\n") if (text := line.strip())]

    def has_changed(self, initial: Any, data: Any) -> bool:
        """Compare lists."""
        return bool(self.to_python(data) != (initial or []))


class RuleForm(forms.ModelForm):
    """Makes or changes a rule; its environment is chosen too where none is given."""

    kinds = forms.MultipleChoiceField(
        label=_("What happens"),
        choices=[(kind, WHENEVER[EventKind(kind)]) for kinds in GROUPS.values() for kind in kinds],
        widget=forms.CheckboxSelectMultiple,
    )
    days = forms.MultipleChoiceField(
        label=_("Days"), choices=Day.choices, widget=forms.CheckboxSelectMultiple, initial=every_day
    )
    count = forms.IntegerField(label=_("How often"), min_value=1, max_value=MAX_COUNT, initial=1)
    window_s = DurationField(label=_("within"), least_s=1, most_s=MAX_WINDOW_S, initial=300)
    cooldown_s = DurationField(label=_("Then quiet for"), least_s=0, most_s=MAX_COOLDOWN_S, initial=60)
    emails = LinesField(label=_("E-mail addresses"), required=False, help_text=_("One a line."))

    class Meta:
        model = Rule
        fields = [
            "environment",
            "name",
            "severity",
            "enabled",
            "kinds",
            "zones",
            "cameras",
            "days",
            "from_time",
            "until_time",
            "count",
            "window_s",
            "cooldown_s",
            "on_page",
            "emails",
            "webhooks",
        ]
        widgets = {
            "zones": forms.CheckboxSelectMultiple,
            "cameras": forms.CheckboxSelectMultiple,
            "webhooks": forms.CheckboxSelectMultiple,
            "from_time": TIME,
            "until_time": TIME,
        }

    def __init__(self, *args: Any, environment: Environment | None = None, **given: Any) -> None:
        super().__init__(*args, **given)
        if environment is None:
            return
        del self.fields["environment"]
        self.instance.environment = environment
        for name in services.TO_MANY:
            rows: Any = self.fields[name]
            rows.queryset = getattr(environment, name).all()

    def kinds_by_group(self) -> Iterator[tuple[Any, list[Any]]]:
        """Give the choices of what happens, by what it happens to."""
        choices = {str(choice.data["value"]): choice for choice in self["kinds"]}
        for title, kinds in GROUPS.items():
            yield title, [choices[kind] for kind in kinds]

    def clean(self) -> dict[str, Any]:
        """Refuse what belongs to another environment."""
        data: dict[str, Any] = super().clean() or self.cleaned_data
        place = data.get("environment") or getattr(self.instance, "environment", None)
        if place is not None:
            chosen = {name: data[name] for name in services.TO_MANY if name in data}
            for name, texts in services.foreign_places(environment_id=place.pk, chosen=chosen).items():
                self.add_error(name, texts)
        return data


class WebhookForm(forms.ModelForm):
    """Makes or changes a webhook; of its address the host alone leaves the server."""

    class Meta:
        model = Webhook
        fields = ["environment", "name", "url"]
        widgets = {
            "url": forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false", "inputmode": "url"})
        }

    def __init__(self, *args: Any, environment: Environment | None = None, **given: Any) -> None:
        super().__init__(*args, **given)
        if environment is not None:
            del self.fields["environment"]
            self.instance.environment = environment
        if self.instance.pk:
            self.initial["url"] = self.instance.masked_url

    def clean_url(self) -> str:
        """Keep the stored address where the masked one came back."""
        url: str = self.cleaned_data["url"]
        if self.instance.pk and url == self.instance.masked_url:
            return str(self.instance.url)
        if MASK in url:
            raise forms.ValidationError(_("Type the whole address again in place of ***."))
        return url


class NoteForm(forms.Form):
    """Asks what somebody notes who sees to an alert."""

    note = forms.CharField(label=_("Note"), max_length=500, required=False)

"""Narrowing lists of what was seen, by place, time and person."""

from django_filters import rest_framework as filters
from drf_spectacular.utils import extend_schema_field

from accounts.rest.filtering import Since, Until
from accounts.rest.strict import YesNoFilter
from environments.filters import PlaceFilter
from tracking.choices import ActualState, DesiredState, EventKind
from tracking.models import Person, Track, TrackEvent, TrackingSession

MAX_NUMBER = 2**53  # what every JSON reader can hold


@extend_schema_field({"type": "integer", "minimum": 1, "maximum": MAX_NUMBER})
class NumberFilter(filters.NumberFilter):
    """Narrows by a whole number."""

    def __init__(self, field_name: str) -> None:
        super().__init__(field_name=field_name, min_value=1, max_value=MAX_NUMBER, decimal_places=0)


class SessionFilter(filters.FilterSet):
    """Narrows sessions."""

    environment = PlaceFilter()
    desired_state = filters.ChoiceFilter(choices=DesiredState.choices)
    actual_state = filters.ChoiceFilter(choices=ActualState.choices)

    class Meta:
        model = TrackingSession
        fields: list[str] = []


class PersonFilter(filters.FilterSet):
    """Narrows persons; ``since`` and ``until`` bound when they were there."""

    environment = PlaceFilter()
    number = NumberFilter("number")
    since = Since("last_seen_at")
    until = Until("first_seen_at")

    class Meta:
        model = Person
        fields: list[str] = []


class TrackFilter(filters.FilterSet):
    """Narrows tracks; ``since`` and ``until`` bound when they lasted."""

    environment = PlaceFilter("session__environment")
    session = NumberFilter("session_id")
    person = NumberFilter("person__number")
    person_id = filters.UUIDFilter(field_name="person_id")
    since = Since("ended_at")
    until = Until("started_at")

    class Meta:
        model = Track
        fields: list[str] = []


class EventFilter(filters.FilterSet):
    """Narrows events."""

    environment = PlaceFilter()
    kind = filters.MultipleChoiceFilter(choices=EventKind.choices)
    person = NumberFilter("person__number")
    person_id = filters.UUIDFilter(field_name="person_id")
    zone = filters.CharFilter(field_name="zone__key")
    camera = filters.CharFilter(field_name="camera__key")
    acknowledged = YesNoFilter(field_name="acknowledgement", lookup_expr="isnull", exclude=True)
    since = Since("time")
    until = Until("time")

    class Meta:
        model = TrackEvent
        fields: list[str] = []

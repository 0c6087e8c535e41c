"""Makers of rows for tests, one for each model."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

from factory.declarations import LazyAttribute, LazyFunction, SelfAttribute, Sequence, SubFactory
from factory.django import DjangoModelFactory, ImageField, Password

from accounts.models import ApiKey, AuditAction, AuditEntry, Login, Role, User
from accounts.rest.models import IdempotentAnswer
from environments.calibrating.models import (
    CameraMove,
    Disagreement,
    Proposal,
    ProposalRun,
    ProposalSource,
)
from environments.models import Calibration, Camera, Environment, FloorPlan, Grant, Zone
from tracking.choices import EventKind
from tracking.models import (
    Counter,
    Detection,
    EventAcknowledgement,
    GalleryEntry,
    GalleryState,
    LateSpan,
    Person,
    Remapping,
    Track,
    TrackEvent,
    TrackingSession,
    TrackPoint,
)
from tracking.notifications.choices import Channel
from tracking.notifications.models import Alert, Arrival, Delivery, Rule, Webhook

T0 = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)

# 100 px a metre, the floor's origin in the middle of a 640x480 picture, y upwards: (320, 240) px is (0, 0) m
H_IMAGE_TO_WORLD = [[0.01, 0.0, -3.2], [0.0, -0.01, 2.4], [0.0, 0.0, 1.0]]


class UserFactory(DjangoModelFactory):
    """Make a Viewer; the password is ``password``."""

    class Meta:
        model = User
        skip_postgeneration_save = True

    username = Sequence(lambda n: f"user{n}")
    password = Password("password")
    role = Role.VIEWER
    is_staff = LazyAttribute(lambda user: user.role == Role.ADMIN)


class LoginFactory(DjangoModelFactory):
    """Let a new user be signed in by tokens that nobody has."""

    class Meta:
        model = Login

    user = SubFactory(UserFactory)
    refresh_id = Sequence(lambda n: f"{n:032x}")
    password_stamp = "0" * 64
    expires_at = datetime(2100, 1, 1, tzinfo=UTC)


class ApiKeyFactory(DjangoModelFactory):
    """Make a key of a new user, whose secret nobody knows."""

    class Meta:
        model = ApiKey

    user = SubFactory(UserFactory)
    name = Sequence(lambda n: f"machine {n}")
    prefix = Sequence(lambda n: f"{n:08x}")
    digest = "0" * 64


class AuditEntryFactory(DjangoModelFactory):
    """Write down that somebody looked at a person; a second apart each."""

    class Meta:
        model = AuditEntry

    at = Sequence(lambda n: T0 + timedelta(seconds=n))
    action = AuditAction.VIEWED
    kind = "person"


class IdempotentAnswerFactory(DjangoModelFactory):
    """Remember an answer to a request of a new user."""

    class Meta:
        model = IdempotentAnswer

    user = SubFactory(UserFactory)
    key = Sequence(lambda n: f"key-{n}")
    fingerprint = "0" * 64


class EnvironmentFactory(DjangoModelFactory):
    """Make an environment without cameras."""

    class Meta:
        model = Environment

    slug = Sequence(lambda n: f"place-{n}")
    name = Sequence(lambda n: f"Place {n}")


class GrantFactory(DjangoModelFactory):
    """Let a new user see a new environment."""

    class Meta:
        model = Grant

    environment = SubFactory(EnvironmentFactory)
    user = SubFactory(UserFactory)


class FloorPlanFactory(DjangoModelFactory):
    """Put a 100 x 80 px picture of 10 cm a pixel under the map."""

    class Meta:
        model = FloorPlan

    environment = SubFactory(EnvironmentFactory)
    image = ImageField(width=100, height=80, filename="plan.png", format="PNG")
    metres_per_px = 0.1


class CameraFactory(DjangoModelFactory):
    """Make a camera that is not calibrated, 640 x 480 px."""

    class Meta:
        model = Camera

    environment = SubFactory(EnvironmentFactory)
    key = Sequence(lambda n: f"c{n}")
    source_url = LazyAttribute(lambda camera: f"rtsp://viewer:secret@10.0.0.1:554/{camera.key}")
    width = 640
    height = 480


class CalibrationFactory(DjangoModelFactory):
    """Calibrate a camera as if it looked straight down, see H_IMAGE_TO_WORLD."""

    class Meta:
        model = Calibration

    camera = SubFactory(CameraFactory)
    h_image_to_world = LazyFunction(lambda: [list(row) for row in H_IMAGE_TO_WORLD])


class RemappingFactory(DjangoModelFactory):
    """Move an hour from one calibration of a new camera to the next one."""

    class Meta:
        model = Remapping

    before = SubFactory(CalibrationFactory)
    after = SubFactory(CalibrationFactory, camera=SelfAttribute("..before.camera"), is_active=False)
    begins_at = T0
    ends_at = T0 + timedelta(hours=1)
    reached_at = T0


class RunFactory(DjangoModelFactory):
    """Ask for calibrations from ten minutes of people."""

    class Meta:
        model = ProposalRun

    environment = SubFactory(EnvironmentFactory)
    since = T0
    until = T0 + timedelta(minutes=10)


class ProposalFactory(DjangoModelFactory):
    """Propose that a camera looks straight down, see H_IMAGE_TO_WORLD."""

    class Meta:
        model = Proposal

    camera = SubFactory(CameraFactory)
    source = ProposalSource.REFIT
    h_image_to_world = LazyFunction(lambda: [list(row) for row in H_IMAGE_TO_WORLD])
    error_m = 0.1
    people = 100


class DisagreementFactory(DjangoModelFactory):
    """Say that a camera was 20 cm off over two minutes."""

    class Meta:
        model = Disagreement

    camera = SubFactory(CameraFactory)
    at = T0
    sights = 50
    median_m = 0.2
    off_x_m = 0.1
    off_y_m = -0.1


class CameraMoveFactory(DjangoModelFactory):
    """Move a camera, with pictures."""

    class Meta:
        model = CameraMove

    camera = SubFactory(CameraFactory)
    at = Sequence(lambda n: T0 + timedelta(seconds=n))
    moved_px = 12.5
    before = b"before"
    after = b"after"


class ZoneFactory(DjangoModelFactory):
    """Draw a square of 2 x 2 m."""

    class Meta:
        model = Zone

    environment = SubFactory(EnvironmentFactory)
    key = Sequence(lambda n: f"z{n}")
    name = Sequence(lambda n: f"Zone {n}")
    points_m = LazyFunction(lambda: [[0.0, 0.0], [2.0, 0.0], [2.0, 2.0], [0.0, 2.0]])


class TrackingSessionFactory(DjangoModelFactory):
    """Ask for an environment to be tracked."""

    class Meta:
        model = TrackingSession

    environment = SubFactory(EnvironmentFactory)


class CounterFactory(DjangoModelFactory):
    """Make a counter that begins at 1."""

    class Meta:
        model = Counter

    name = Sequence(lambda n: f"counter-{n}")


class LateSpanFactory(DjangoModelFactory):
    """Let the rows of a minute be late."""

    class Meta:
        model = LateSpan

    begins_at = T0
    ends_at = T0 + timedelta(minutes=1)


class PersonFactory(DjangoModelFactory):
    """Make a person seen for a minute."""

    class Meta:
        model = Person

    environment = SubFactory(EnvironmentFactory)
    number = Sequence(lambda n: n + 1)
    first_seen_at = T0
    last_seen_at = T0 + timedelta(minutes=1)


class GalleryEntryFactory(DjangoModelFactory):
    """Remember a person's looks, which say nothing."""

    class Meta:
        model = GalleryEntry

    person = SubFactory(PersonFactory)
    environment = SelfAttribute("person.environment")
    embedder = "colour-2"
    seen_at = T0
    content = b"looks"


class GalleryStateFactory(DjangoModelFactory):
    """Know what looks mean in a new environment, which is nothing."""

    class Meta:
        model = GalleryState

    environment = SubFactory(EnvironmentFactory)
    embedder = "colour-2"
    at = T0
    content = b"state"


class TrackFactory(DjangoModelFactory):
    """Make a track of a minute."""

    class Meta:
        model = Track

    id = Sequence(lambda n: n + 1)
    session = SubFactory(TrackingSessionFactory)
    person = SubFactory(PersonFactory, environment=SelfAttribute("..session.environment"))
    started_at = T0
    ended_at = T0 + timedelta(minutes=1)


class TrackPointFactory(DjangoModelFactory):
    """Put a track to one place; a second apart each."""

    class Meta:
        model = TrackPoint

    time = Sequence(lambda n: T0 + timedelta(seconds=n))
    track = SubFactory(TrackFactory)
    environment = LazyAttribute(lambda point: point.track.session.environment)
    x_m = 1.0
    y_m = 2.0
    vx_mps = 0.5
    vy_mps = 0.0
    var_x_m2 = 0.04
    cov_xy_m2 = 0.0
    var_y_m2 = 0.04
    cameras = "c1 c2"


class DetectionFactory(DjangoModelFactory):
    """Make a box without a track; a second apart each."""

    class Meta:
        model = Detection

    time = Sequence(lambda n: T0 + timedelta(seconds=n))
    camera = SubFactory(CameraFactory)
    ordinal = 0
    left_px = 100.0
    top_px = 50.0
    right_px = 150.0
    bottom_px = 200.0
    confidence = 0.9


class TrackEventFactory(DjangoModelFactory):
    """Let a person appear; a second apart each."""

    class Meta:
        model = TrackEvent

    time = Sequence(lambda n: T0 + timedelta(seconds=n))
    environment = SubFactory(EnvironmentFactory)
    kind = EventKind.PERSON_APPEARED


class EventAcknowledgementFactory(DjangoModelFactory):
    """Let somebody have seen to a new event."""

    class Meta:
        model = EventAcknowledgement

    event = SubFactory(TrackEventFactory)
    environment = SelfAttribute("event.environment")
    event_at = SelfAttribute("event.time")
    at = T0 + timedelta(hours=1)
    by = SubFactory(UserFactory)


class ArrivalFactory(DjangoModelFactory):
    """Let an event wait that is not there."""

    class Meta:
        model = Arrival

    event_id = LazyFunction(uuid4)
    time = T0
    environment = SubFactory(EnvironmentFactory)


class WebhookFactory(DjangoModelFactory):
    """Make a webhook at an address that nobody has."""

    class Meta:
        model = Webhook

    environment = SubFactory(EnvironmentFactory)
    name = Sequence(lambda n: f"webhook {n}")
    url = "https://hooks.example.com/spoton?token=secret"


class RuleFactory(DjangoModelFactory):
    """Tell the page whenever somebody appears."""

    class Meta:
        model = Rule
        skip_postgeneration_save = True

    environment = SubFactory(EnvironmentFactory)
    name = Sequence(lambda n: f"rule {n}")
    kinds = LazyFunction(lambda: [EventKind.PERSON_APPEARED.value])


class AlertFactory(DjangoModelFactory):
    """Let somebody have appeared; a second apart each."""

    class Meta:
        model = Alert

    rule = SubFactory(RuleFactory)
    environment = SelfAttribute("rule.environment")
    rule_name = SelfAttribute("rule.name")
    severity = SelfAttribute("rule.severity")
    event_id = LazyFunction(uuid4)
    kind = EventKind.PERSON_APPEARED
    at = Sequence(lambda n: T0 + timedelta(seconds=n))
    raised_at = SelfAttribute("at")


class DeliveryFactory(DjangoModelFactory):
    """Let an alert be on its way to the page."""

    class Meta:
        model = Delivery

    alert = SubFactory(AlertFactory)
    rule = SelfAttribute("alert.rule")
    environment = SelfAttribute("alert.environment")
    channel = Channel.PAGE
    created_at = T0
    next_attempt_at = T0

"""All settings, from the environment; a missing secret or a wrong value stops the start with one clear line.

``$SPOTON_DATA/.env`` is read first where it exists (the demo writes it); the environment wins over it.
"""

import base64
from datetime import timedelta
from importlib.util import find_spec
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Any

import dj_database_url
from django.core.exceptions import ImproperlyConfigured
from environs import Env, EnvError

from spoton.mail_server import MailServer, mail_server

BASE_DIR = Path(__file__).resolve().parent.parent

env = Env()
DATA_DIR = Path(env.str("SPOTON_DATA", str(BASE_DIR / "var"))).resolve()
env.read_env(str(DATA_DIR / ".env"), recurse=False)


def _secret(name: str) -> str:
    try:
        value = env.str(name)
    except EnvError:
        value = ""
    if not value:
        raise ImproperlyConfigured(
            f"{name} is not set: set it in the environment, or run 'make demo' or 'make install' once, "
            f"which write one to {DATA_DIR / '.env'}"
        )
    return value


def _number(name: str, default: float, *, least: float, most: float = float("inf")) -> float:
    try:
        value = env.float(name, default)
    except EnvError:
        value = least - 1
    if not (least <= value <= most and value < float("inf")):
        limits = f"{least:g} at least" if most == float("inf") else f"from {least:g} to {most:g}"
        raise ImproperlyConfigured(f"{name} must be a number, {limits}")
    return value


def _file_text(name: str) -> str:
    path = env.str(name, "")
    try:
        return Path(path).read_text() if path else ""
    except (OSError, UnicodeDecodeError) as error:
        raise ImproperlyConfigured(f"{name}: {path} cannot be read ({error})") from error


def _keys(name: str) -> list[bytes]:
    """Read keys of 32 bytes in URL-safe base64, comma separated."""
    try:
        keys = [base64.urlsafe_b64decode(text.strip() + "==") for text in _secret(name).split(",")]
    except ValueError:
        keys = [b""]
    if any(len(key) != 32 for key in keys):
        raise ImproperlyConfigured(
            f"{name}: expected keys of 32 bytes in URL-safe base64, comma separated, the newest first"
        )
    return keys


def _mail(url: str) -> MailServer:
    try:
        return mail_server(url)
    except ValueError as error:
        raise ImproperlyConfigured(f"EMAIL_URL: {error}") from None


def _networks(name: str) -> list[IPv4Network | IPv6Network]:
    try:
        texts: list[str] = env.list(name, [])
        return [ip_network(text.strip()) for text in texts]
    except ValueError as error:
        raise ImproperlyConfigured(
            f"{name}: expected networks such as 10.0.0.0/8, comma separated ({error})"
        ) from error


SECRET_KEY = _secret("SECRET_KEY")
FIELD_ENCRYPTION_KEYS = _keys("FIELD_ENCRYPTION_KEYS")
DEBUG = env.bool("DEBUG", False)
ALLOWED_HOSTS: list[str] = env.list("ALLOWED_HOSTS", ["localhost", "127.0.0.1", "[::1]"])
CSRF_TRUSTED_ORIGINS: list[str] = env.list("CSRF_TRUSTED_ORIGINS", [])
# True wherever a TLS proxy stands in front (deploy/): secure cookies, HSTS, redirects
BEHIND_TLS = env.bool("BEHIND_TLS", False)

INSTALLED_APPS = [
    "daphne",
    "spoton.admin_config.AdminOnlyConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "channels",
    "rest_framework",
    "django_filters",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "corsheaders",
    "csp",
    "axes",
    "accounts.rest",
    "accounts",
    "environments",
    "environments.calibrating",
    "tracking",
    "tracking.notifications",
    "analytics",
    "gpuworker",
    "spoton",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.middleware.http.ConditionalGetMiddleware",
    "csp.middleware.CSPMiddleware",
    "corsheaders.middleware.CorsMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.auth.middleware.LoginRequiredMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "axes.middleware.AxesMiddleware",
]

ROOT_URLCONF = "spoton.urls"
ASGI_APPLICATION = "spoton.asgi.application"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

# --- database -----------------------------------------------------------------------------------


POSTGRES_OPTIONS = {
    # a server that is gone without a word is noticed within seconds, not after a quarter of an hour
    "connect_timeout": 5,
    "tcp_user_timeout": 20_000,
    # many short questions: to compile one, or to start workers for it, takes longer than to answer it
    "options": "-c jit=off -c max_parallel_workers_per_gather=0",
}


def _database() -> dict[str, Any]:
    schemes = ("sqlite", "postgres", "postgresql", "timescale")
    url = env.str("DATABASE_URL", f"sqlite:///{DATA_DIR / 'spoton.sqlite3'}")
    if url.split(":", 1)[0] not in schemes:
        raise ImproperlyConfigured(
            "DATABASE_URL has an unknown scheme: use sqlite:///PATH, postgres://USER:PASSWORD@HOST/NAME "
            "or timescale://USER:PASSWORD@HOST/NAME"
        )
    try:
        config: dict[str, Any] = dict(dj_database_url.parse(url))
    except ValueError as error:
        raise ImproperlyConfigured(f"DATABASE_URL cannot be read: {error}") from None
    if config["ENGINE"] == "django.db.backends.sqlite3":
        config["OPTIONS"] = {
            # one writer at a time: take the lock at the start of a transaction and wait for it,
            # instead of failing in the middle
            "transaction_mode": "IMMEDIATE",
            "timeout": 20,
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA busy_timeout=20000;",
        }
    else:
        config.setdefault("CONN_HEALTH_CHECKS", True)
        config["OPTIONS"] = POSTGRES_OPTIONS | config.get("OPTIONS", {})
    config["CONN_MAX_AGE"] = 60  # s; the threads that answer requests last, see spoton/http.py
    return config


try:
    DATA_DIR.mkdir(parents=True, exist_ok=True)
except OSError as error:
    raise ImproperlyConfigured(f"SPOTON_DATA: {DATA_DIR} cannot be made ({error.strerror})") from error
DATABASES = {"default": _database()}

# --- Redis: channel layer, Celery, cache ----------------------------------------------------------

REDIS_URL = env.str("REDIS_URL", f"unix://{DATA_DIR / 'redis.sock'}")

CHANNEL_LAYERS = {
    "default": {
        "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
        # small capacities: a stale frame is worth nothing, see tracking/live.py
        "CONFIG": {"hosts": [REDIS_URL], "prefix": "spoton", "capacity": 40},
    }
}
CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": REDIS_URL,
        "KEY_PREFIX": "spoton",
    }
}

CELERY_BROKER_URL = REDIS_URL.replace("unix://", "redis+socket://", 1)
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = True
CELERY_WORKER_HIJACK_ROOT_LOGGER = False  # its lines go through our formatter too
CELERY_TASK_TIME_LIMIT = 3600
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
# apart from what may take minutes, so that an export does not hold an alert up
CELERY_TASK_ROUTES = {
    "tracking.notifications.tasks.*": {"queue": "notifications"},
    "gpuworker.tasks.history_remap": {"queue": "models"},  # where the worker's libraries, and its GPU, are
}
CELERY_BEAT_SCHEDULE_FILENAME = str(DATA_DIR / "celerybeat-schedule")
CELERY_BEAT_SCHEDULE = {
    "release sessions of dead workers": {
        "task": "tracking.tasks.expired_leases_release",
        "schedule": 15.0,
    },
    "delete logins that nobody renewed": {
        "task": "accounts.tasks.logins_expire",
        "schedule": 3600.0,
    },
    "forget answers that nobody asks for again": {
        "task": "accounts.rest.tasks.idempotent_answers_expire",
        "schedule": 3600.0,
    },
    "delete what is older than each environment keeps": {
        "task": "tracking.tasks.history_expire",
        "schedule": 3600.0,
    },
    "judge what happened, and tell whom it concerns": {
        "task": "tracking.notifications.tasks.notifications_attend",
        "schedule": 2.0,
        "options": {"expires": 2.0},  # the next one does the same
    },
    "delete alerts that are older than each environment keeps": {
        "task": "tracking.notifications.tasks.notifications_expire",
        "schedule": 3600.0,
    },
    "delete what is known of calibrations' health when it is old": {
        "task": "environments.calibrating.tasks.calibrating_expire",
        "schedule": 3600.0,
    },
    "count what is new": {
        "task": "analytics.tasks.aggregates_refresh",
        "schedule": 60.0,
    },
}

# --- the worker -----------------------------------------------------------------------------------

SPOTON_DETECTOR = env.str("SPOTON_DETECTOR", "motion")
SPOTON_EMBEDDER = env.str("SPOTON_EMBEDDER", "colour")
SPOTON_DEVICE = env.str("SPOTON_DEVICE", "auto")
SPOTON_MODELS = Path(env.str("SPOTON_MODELS", str(DATA_DIR / "models")))
# how much of what is seen is kept: seconds between two points of a track, and between two frames of a
# camera whose detections are stored; and for how long what is seen later still corrects a point
SPOTON_POINT_INTERVAL_S = _number("SPOTON_POINT_INTERVAL_S", 0.5, least=0, most=3600)
SPOTON_POINT_LAG_S = _number("SPOTON_POINT_LAG_S", 1.0, least=0, most=10)
SPOTON_DETECTION_INTERVAL_S = _number("SPOTON_DETECTION_INTERVAL_S", 1.0, least=0, most=3600)
# where rows lie until the database has them, and how much of it a session may fill while the database is away
SPOTON_SPOOL = DATA_DIR / "spool"
SPOTON_SPOOL_MB = _number("SPOTON_SPOOL_MB", 2000, least=1)
# what the tracker of each session is fed, for `evaluate --replay`: none, or so much of it from the session's start
SPOTON_RECORDINGS = DATA_DIR / "recordings"
SPOTON_RECORD_MB = _number("SPOTON_RECORD_MB", 0, least=0)

# where cameras and recordings may be: schemes, networks (10.0.0.0/8, say; none: all but those where no camera is),
# and folders (none: all)
SPOTON_SOURCE_SCHEMES: list[str] = env.list(
    "SPOTON_SOURCE_SCHEMES", ["rtsp", "rtsps", "http", "https", "file", "images", "sim"]
)
SPOTON_SOURCE_NETWORKS = _networks("SPOTON_SOURCE_NETWORKS")
SPOTON_SOURCE_FOLDERS: list[str] = env.list("SPOTON_SOURCE_FOLDERS", [])

# --- notifications ----------------------------------------------------------------------------------

# where the pages are, for links in messages
SPOTON_URL = env.str("SPOTON_URL", "http://localhost:8000").rstrip("/")
# events that come later than this raise no alert: they are noted as late
SPOTON_ALERT_MAX_AGE_S = _number("SPOTON_ALERT_MAX_AGE_S", 600, least=1)
# for how long a message that cannot be delivered is tried again
SPOTON_DELIVERY_HOURS = _number("SPOTON_DELIVERY_HOURS", 24, least=0, most=168)
# where webhooks may be (none: everywhere but on this machine, and where nothing but a cloud's own services is)
SPOTON_WEBHOOK_NETWORKS = _networks("SPOTON_WEBHOOK_NETWORKS")
EMAIL = _mail(env.str("EMAIL_URL", ""))
EMAIL_BACKEND = EMAIL.backend
EMAIL_HOST, EMAIL_PORT = EMAIL.host, EMAIL.port
EMAIL_HOST_USER, EMAIL_HOST_PASSWORD = EMAIL.user, EMAIL.password
EMAIL_USE_TLS, EMAIL_USE_SSL = EMAIL.starttls, EMAIL.tls
EMAIL_TIMEOUT = 10  # s
DEFAULT_FROM_EMAIL = env.str("EMAIL_FROM", "SpotOn <spoton@localhost>")

# --- accounts -------------------------------------------------------------------------------------

AUTH_USER_MODEL = "accounts.User"
# of the administrator that `manage.py create_demo` makes; the demo's .env holds one
DEMO_PASSWORD = env.str("DEMO_PASSWORD", "")
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]
AUTHENTICATION_BACKENDS = [
    "axes.backends.AxesStandaloneBackend",
    "accounts.authentication.RoleBackend",
]
# wrong passwords for one name from one address, and for how long nobody gets in then; see accounts/lockout.py
AXES_FAILURE_LIMIT = 10
AXES_COOLOFF_TIME = timedelta(minutes=15)
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_RESET_ON_SUCCESS = True
# who is locked out adds nothing by trying on: neither to how long it lasts nor to what others have failed
AXES_RESET_COOL_OFF_ON_FAILURE_DURING_LOCKOUT = False
AXES_HANDLER = "accounts.lockout.LockoutHandler"
AXES_LOCKOUT_CALLABLE = "accounts.lockout.answer"
AXES_DISABLE_ACCESS_LOG = True
AXES_VERBOSE = False
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "landing"
LOGOUT_REDIRECT_URL = "login"

# --- security -------------------------------------------------------------------------------------

SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = SECURE_SSL_REDIRECT = BEHIND_TLS
SECURE_HSTS_SECONDS = 31_536_000 if BEHIND_TLS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = BEHIND_TLS
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if BEHIND_TLS else None
SECURE_REDIRECT_EXEMPT = [r"^healthz$", r"^readyz$"]

# scripts and styles come from here and are never written into a page; maps and live pictures are blobs
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": ["'self'"],
        "style-src": ["'self'"],
        "img-src": ["'self'", "blob:", "data:"],
        "object-src": ["'none'"],
        "base-uri": ["'none'"],
        "form-action": ["'self'"],
        "frame-ancestors": ["'none'"],
    }
}
# pages of other sites that may ask the REST interface, with a token: no cookie goes along
CORS_ALLOWED_ORIGINS: list[str] = env.list("CORS_ALLOWED_ORIGINS", [])
CORS_URLS_REGEX = r"^/api/"

# --- REST -----------------------------------------------------------------------------------------

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "accounts.authentication.BearerAuthentication",
        "accounts.authentication.ApiKeyAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["accounts.permissions.RolePermission"],
    "DEFAULT_THROTTLE_CLASSES": ["accounts.rest.throttles.UserThrottle"],
    "DEFAULT_THROTTLE_RATES": {
        "user": env.str("API_RATE", "30000/min"),
        "login": env.str("LOGIN_RATE", "60/min"),
    },
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    "DEFAULT_RENDERER_CLASSES": [
        "rest_framework.renderers.JSONRenderer",
        "accounts.rest.renderers.PageRenderer",
    ],
    "DEFAULT_FILTER_BACKENDS": [
        "accounts.rest.filtering.FilterBackend",
        "rest_framework.filters.SearchFilter",
        "rest_framework.filters.OrderingFilter",
    ],
    "DEFAULT_CONTENT_NEGOTIATION_CLASS": "accounts.rest.negotiation.Negotiation",
    "DEFAULT_PAGINATION_CLASS": "accounts.rest.pagination.Pages",
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "accounts.rest.errors.exception_answer",
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
}
SPECTACULAR_SETTINGS = {
    "TITLE": "SpotOn",
    "DESCRIPTION": "Who is where, where did they come from, and what happened.",
    "VERSION": "1",
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_PERMISSIONS": ["rest_framework.permissions.IsAuthenticated"],
    "SERVE_AUTHENTICATION": None,
    "COMPONENT_SPLIT_REQUEST": True,
    "SCHEMA_PATH_PREFIX": r"/api/v1",
    "ENUM_NAME_OVERRIDES": {
        "EventKindEnum": "tracking.choices.EventKind",
        "FitKindEnum": ["homography", "pose", "lens"],
        "ZoneKindEnum": "environments.models.ZoneKind",
        "ProbeStateEnum": ["pending", "done", "failed"],
    },
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_SETTINGS": {"persistAuthorization": False},
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "accounts.rest.schema.files_describe",
        "accounts.rest.schema.errors_add",
    ],
}
# signed by RS256 with this key where one is named, by HS256 otherwise
JWT_PRIVATE_KEY = _file_text("JWT_PRIVATE_KEY_FILE")
ACCESS_TOKEN_LIFETIME = timedelta(minutes=5)
REFRESH_TOKEN_LIFETIME = timedelta(days=7)
SIMPLE_JWT = {"USER_ID_CLAIM": "sub"}

# --- files, language, logs ------------------------------------------------------------------------

STATIC_URL = "static/"
# Leaflet's own files, without django-leaflet's admin widgets: those need the GDAL library
STATICFILES_DIRS = [Path(str(find_spec("leaflet").origin)).parent / "static"]  # type: ignore[union-attr]
# files come straight from the packages that carry them: no collectstatic step on a laptop
WHITENOISE_USE_FINDERS = True
MEDIA_ROOT = DATA_DIR / "media"
DATA_UPLOAD_MAX_MEMORY_SIZE = 5 * 1024 * 1024  # of a request without its files
DATA_UPLOAD_MAX_NUMBER_FILES = 10

LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_I18N = True
USE_TZ = True

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "line": {"()": "spoton.logs.MaskingFormatter", "format": "%(levelname)s %(name)s: %(message)s"}
    },
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["console"], "level": env.str("LOG_LEVEL", "INFO")},
    "loggers": {
        "daphne.http_protocol": {"level": "WARNING"},
        "django.channels.server": {"level": "WARNING"},
        "django.server": {"level": "WARNING"},
        "axes": {"level": "ERROR"},  # its lines name nobody, and what it refuses is logged as a request
    },
}

"""Django settings. Safe by default: loopback only, no built-in secret, no proxy header trusted.

Everything that differs between one PC and a plant comes from the environment (``config.env``).
"""

import os
from pathlib import Path

import dj_database_url
from django.core.exceptions import ImproperlyConfigured

from config import env
from config.broker import broker_socket

BASE_DIR = Path(__file__).resolve().parent.parent
DATA_DIR = Path(env.text("SECONDLOOK_DATA", str(BASE_DIR / "data"))).resolve()
DATA_DIR.mkdir(parents=True, exist_ok=True)

DEBUG = env.flag("SECONDLOOK_DEBUG")
DEMO = env.flag("SECONDLOOK_DEMO")
SECRET_KEY = env.secret_key(DATA_DIR)
ALLOWED_HOSTS = env.words("SECONDLOOK_HOSTS", "127.0.0.1,localhost,[::1]")
CSRF_TRUSTED_ORIGINS = env.words("SECONDLOOK_ORIGINS")

INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "django_htmx",
    "axes",
    "inspection.apps.InspectionConfig",
    "review.apps.ReviewConfig",
    "training.apps.TrainingConfig",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "config.middleware.ContentSecurityPolicyMiddleware",
    "config.middleware.DomainErrorMiddleware",
    "axes.middleware.AxesMiddleware",
]

ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"
ASGI_APPLICATION = "config.asgi.application"

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
                "config.navigation.page_frame",
            ],
        },
    },
]

# --- database -----------------------------------------------------------------------------
# WAL, IMMEDIATE transactions and a long busy timeout are what keeps several writers on SQLite
# from failing with "database is locked"; FULL keeps the last commits at a power cut.
_SQLITE_OPTIONS = {
    "timeout": 20,
    "transaction_mode": "IMMEDIATE",
    "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON;",
}


def _database() -> dict[str, object]:
    url = env.text("DATABASE_URL", f"sqlite:///{DATA_DIR / 'secondlook.sqlite3'}")
    try:
        database: dict[str, object] = dict(dj_database_url.parse(url, conn_max_age=60))
    except (ValueError, KeyError) as error:
        raise ImproperlyConfigured(f"DATABASE_URL cannot be read: {error}") from error
    engine = str(database["ENGINE"])
    if engine.endswith("sqlite3"):
        database["OPTIONS"] = _SQLITE_OPTIONS
        # A file, not memory: flow tests share it with a worker process.
        database["TEST"] = {"NAME": str(DATA_DIR / "test.sqlite3")}
    elif not engine.endswith("postgresql"):
        raise ImproperlyConfigured("DATABASE_URL must name sqlite or postgres.")
    return database


DATABASES = {"default": _database()}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# --- people -------------------------------------------------------------------------------
AUTH_USER_MODEL = "inspection.Person"
AUTHENTICATION_BACKENDS = [
    "axes.backends.AxesStandaloneBackend",
    "inspection.backends.PersonBackend",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator"},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "home"
LOGOUT_REDIRECT_URL = "login"
SESSION_COOKIE_AGE = 12 * 3600  # one shift with its hand-over
AXES_FAILURE_LIMIT = 10
AXES_COOLOFF_TIME = 0.25  # hours
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_ENABLE_ADMIN = False

# --- transport ----------------------------------------------------------------------------
# Proxy headers are believed only where somebody said that a proxy stands in front.
BEHIND_PROXY = env.flag("SECONDLOOK_PROXY")
if BEHIND_PROXY:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    USE_X_FORWARDED_HOST = True
HTTPS_ONLY = env.flag("SECONDLOOK_HTTPS")
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = HTTPS_ONLY
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
DATA_UPLOAD_MAX_NUMBER_FILES = 500
DATA_UPLOAD_MAX_MEMORY_SIZE = 64 * 1024 * 1024

# --- words, time, files -------------------------------------------------------------------
LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"  # storage; pages show the site's own zone
USE_TZ = True
USE_I18N = True
STATIC_URL = "static/"
STATIC_ROOT = DATA_DIR / "static"
STATIC_ROOT.mkdir(exist_ok=True)  # whitenoise warns about a missing folder
STATICFILES_DIRS = [BASE_DIR / "static"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.InMemoryStorage"},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedStaticFilesStorage"},
}
WHITENOISE_USE_FINDERS = True  # one command on one PC: no collectstatic step to forget
BLOB_DIR = DATA_DIR / "blobs"
CACHE_DIR = DATA_DIR / "cache"
INBOX_DIR = Path(env.text("SECONDLOOK_INBOX", str(DATA_DIR / "inbox"))).resolve()

# --- jobs ---------------------------------------------------------------------------------
# REDIS_URL, else the socket of the embedded broker that the supervisor starts, else none: then
# workers poll the database, which is the queue of record in every case.
BROKER_SOCKET = Path(env.text("SECONDLOOK_BROKER_SOCKET") or broker_socket(DATA_DIR))
REDIS_URL = env.text("REDIS_URL")
EMBEDDED_BROKER = not REDIS_URL and not env.flag("SECONDLOOK_NO_BROKER")
BROKER_URL = REDIS_URL or (f"redis+socket://{BROKER_SOCKET}" if EMBEDDED_BROKER else "")
JOB_LEASE_S = env.number("SECONDLOOK_JOB_LEASE_S", 60, low=1, high=3600)
JOB_MAX_ATTEMPTS = 3  # a poison image ends as failed, it does not circle
PART_TIMEOUT_S = env.number("SECONDLOOK_PART_TIMEOUT_S", 60, low=1, high=86_400)
TRAINING_THREADS = int(
    env.number("SECONDLOOK_TRAINING_THREADS", len(os.sched_getaffinity(0)), low=1, high=256)
)

# --- rules of the house -------------------------------------------------------------------
QUARANTINE_H = env.number("SECONDLOOK_QUARANTINE_H", 0 if DEMO else 24, low=0, high=24 * 60)
MAX_IMAGE_BYTES = int(env.number("SECONDLOOK_MAX_IMAGE_MB", 64, low=1, high=1024) * 1024 * 1024)
WATCH_SETTLE_S = env.number("SECONDLOOK_WATCH_SETTLE_S", 2, low=0.1, high=60)

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "inspection.api.authentication.DeviceTokenAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["inspection.api.permissions.HasDeclaredRole"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": [
        "rest_framework.parsers.JSONParser",
        "rest_framework.parsers.MultiPartParser",
    ],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "inspection.api.errors.exception_to_response",
    "UNAUTHENTICATED_USER": "django.contrib.auth.models.AnonymousUser",
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Secondlook",
    "DESCRIPTION": "Images in, outcomes out, and everything the review station does.",
    "VERSION": "1",
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_PERMISSIONS": ["inspection.api.permissions.HasDeclaredRole"],
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
}

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s %(message)s"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["stderr"], "level": env.text("SECONDLOOK_LOG_LEVEL", "WARNING")},
    "loggers": {
        "secondlook": {"level": env.text("SECONDLOOK_LOG_LEVEL", "INFO"), "propagate": True}
    },
}

"""
Settings of the project, read from the environment.

A ``.env`` file in the project folder fills in variables that the environment does not set;
``ENV_FILE`` names another file, or ``/dev/null`` for none. ``.env.example`` lists the variables.
Nothing set means production: DEBUG is off, HTTPS is on, and SECRET_KEY has to be given.
"""

import logging
from pathlib import Path
from typing import Any
from urllib.parse import quote

import django
import environ
from django.core.exceptions import ImproperlyConfigured

BASE_DIR = Path(__file__).resolve().parent.parent

env = environ.Env()
env_file = Path(env.str("ENV_FILE", default=str(BASE_DIR / ".env")))
if env_file.is_file():
    env.read_env(env_file)


def secret_key(*, debug: bool) -> str:
    """The SECRET_KEY of the environment; in development only, a key that everybody knows."""
    if key := env.str("SECRET_KEY", default=""):
        return str(key)
    if debug:
        return "django-insecure-development-key-that-everybody-knows"
    raise ImproperlyConfigured(
        "SECRET_KEY is not set: set SECRET_KEY=<50 or more random characters> in the environment "
        "or in .env, or DEBUG=true for development."
    )


def database(url: str) -> dict[str, Any]:
    """
    The connection that ``url`` describes.

    SQLite is set up for many threads and processes: readers do not block the writer (WAL), a
    transaction takes the write lock when it begins, where waiting for it can still succeed, and
    waits up to 20 seconds.
    """
    config = env.db_url_config(url)
    if config["ENGINE"] == "django.db.backends.sqlite3":
        config["OPTIONS"] = {
            "transaction_mode": "IMMEDIATE",
            "timeout": 20,
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
            **config.get("OPTIONS", {}),
        }
    return dict(config)


DEBUG = env.bool("DEBUG", default=False)
SECRET_KEY = secret_key(debug=DEBUG)
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=["localhost", "127.0.0.1", "[::1]"])

SECURE_SSL_REDIRECT = env.bool("SECURE_SSL_REDIRECT", default=not DEBUG)
SECURE_REDIRECT_EXEMPT = [r"^hosting/health/"]  # an orchestrator asks the process itself, by HTTP
SECURE_PROXY_SSL_HEADER = env.tuple("SECURE_PROXY_SSL_HEADER", default=None)
SECURE_HSTS_SECONDS = env.int("SECURE_HSTS_SECONDS", default=0 if DEBUG else 3600)
SECURE_HSTS_INCLUDE_SUBDOMAINS = env.bool("SECURE_HSTS_INCLUDE_SUBDOMAINS", default=not DEBUG)
SECURE_HSTS_PRELOAD = env.bool("SECURE_HSTS_PRELOAD", default=not DEBUG)
CSRF_COOKIE_SECURE = SESSION_COOKIE_SECURE = env.bool("SECURE_COOKIES", default=not DEBUG)

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "hosting",
    "messages_app",
]
if django.VERSION < (6, 0):
    INSTALLED_APPS.append("django_tasks")

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"

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

DATABASES = {
    "default": database(
        env.str("DATABASE_URL", default="sqlite:///" + quote(str(BASE_DIR / "db.sqlite3")))
    )
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]

LANGUAGE_CODE = "en-us"
TIME_ZONE = "UTC"
USE_I18N = True
USE_TZ = True

STATIC_URL = "static/"
STATIC_ROOT = BASE_DIR / "staticfiles"

TASKS = {"default": {"BACKEND": "hosting.queues.DatabaseBackend", "QUEUES": []}}

HOSTED_SERVICES = [
    "messages_app.services.TimedHostedService",
    "messages_app.services.ScopedHostedService",
    "hosting.QueuedHostedService",
    "hosting.TaskWorker",
    "hosting.Scheduler",
    {"SERVICE": "messages_app.services.MonitorLoop", "RUN_IN": ["worker"]},
]
HOSTING = {
    "AUTOSTART": env.str("HOSTING_AUTOSTART", default="auto"),
    "SCHEDULE": {
        "prune-messages": {"TASK": "messages_app.tasks.prune_messages", "CRON": "0 3 * * *"},
    },
}


def is_worth_a_line(record: logging.LogRecord) -> bool:
    """Not the page's own refresh, which comes every second or two."""
    return not record.getMessage().startswith('"GET /state ') or record.levelno > logging.INFO


LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "filters": {
        "worth_a_line": {
            "()": "django.utils.log.CallbackFilter",
            "callback": is_worth_a_line,
        },
    },
    "formatters": {
        "plain": {"format": "{asctime} {levelname:7} {name}: {message}", "style": "{"},
    },
    "handlers": {
        "console": {"class": "logging.StreamHandler", "formatter": "plain"},
        # What jobs and services log can be read in the admin.
        "lines": {"class": "hosting.observability.lines.LogLineHandler"},
    },
    "root": {"handlers": ["console", "lines"], "level": "WARNING"},
    "loggers": {
        # No handlers of its own, which would print each record a second time in development.
        "django": {"handlers": [], "level": "INFO"},
        "django.server": {
            "handlers": ["console"],
            "level": "INFO",
            "filters": ["worth_a_line"],
            "propagate": False,
        },
        "django.tasks": {"level": "INFO"},
        "django_tasks": {"level": "INFO"},
        "hosting": {"level": "INFO"},
        "messages_app": {"level": "INFO"},
    },
}

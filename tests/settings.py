"""
The project's settings as the tests and the static checks see them.

The environment is settled before ``config.settings`` reads it, so that neither a developer's
``.env`` nor exported variables change what is tested. DATABASE_URL alone is left to the caller.
"""

import os
from importlib.util import find_spec

from tests.processes import SETTINGS_ENVIRONMENT

for name in ("ALLOWED_HOSTS", "SECURE_PROXY_SSL_HEADER"):
    os.environ.pop(name, None)
os.environ.update(SETTINGS_ENVIRONMENT)

from config.settings import *  # noqa: E402 - once the environment is settled

# Nothing is to be written beside what a test does itself.
LOGGING["root"] = {"handlers": ["console"], "level": "WARNING"}

# Another backend of the task API, which the conformance suite is run over where it is installed.
if find_spec("django_tasks_db"):
    INSTALLED_APPS.append("django_tasks_db")

"""ASGI entry point: the module-level name ``application``."""

import os

from django.core.asgi import get_asgi_application

from hosting.asgi import HostingLifespan

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

application = HostingLifespan(get_asgi_application())

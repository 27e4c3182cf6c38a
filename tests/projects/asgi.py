"""The project's ASGI applications: one that answers the server's lifespan, and Django's alone."""

from django.core.asgi import get_asgi_application

from hosting.asgi import HostingLifespan

without_lifespan = get_asgi_application()
application = HostingLifespan(without_lifespan)

from django.core.asgi import get_asgi_application

from hosting.asgi import HostingLifespan

application = HostingLifespan(get_asgi_application())

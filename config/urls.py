"""The URLs of the project: the sample application at the root.

In development, style and script as well, which no other server than `runserver` serves by itself.
"""

from django.contrib.staticfiles.urls import staticfiles_urlpatterns
from django.urls import include, path

urlpatterns = [
    path("", include("messages_app.urls")),
    *staticfiles_urlpatterns(),
]

"""The URLs of the project: the sample application at the root, and the admin.

In development, style and script as well, which no other server than `runserver` serves by itself.
"""

from django.contrib import admin
from django.contrib.staticfiles.urls import staticfiles_urlpatterns
from django.urls import include, path

urlpatterns = [
    path("admin/", admin.site.urls),
    path("", include("messages_app.urls")),
    path("hosting/", include("hosting.urls")),
    *staticfiles_urlpatterns(),
]

"""The URLs of the project: the sample application at the root."""

from django.urls import include, path

urlpatterns = [
    path("", include("messages_app.urls")),
]

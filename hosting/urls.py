"""Pages about this process, to be included: `path("hosting/", include("hosting.urls"))`."""

from __future__ import annotations

from django.urls import path

from hosting import views
from hosting.observability.metrics import metrics_view

app_name = "hosting"
urlpatterns = [
    path("metrics", metrics_view, name="metrics"),
    path("health/live", views.health, {"question": "live"}, name="live"),
    path("health/ready", views.health, {"question": "ready"}, name="ready"),
    path("health/services", views.health, {"question": "services"}, name="services"),
]

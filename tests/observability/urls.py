"""A project that lets Prometheus scrape it."""

from django.urls import path

from hosting.observability.metrics import metrics_view

urlpatterns = [path("hosting/metrics", metrics_view)]

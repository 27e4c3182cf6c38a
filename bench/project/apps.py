from __future__ import annotations

from django.apps import AppConfig

from bench.project import tracing


class ProjectConfig(AppConfig):
    name = "bench.project"
    label = "project"

    def ready(self) -> None:
        tracing.install()

from __future__ import annotations

from django.apps import AppConfig
from django.core import checks

from hosting.checks import check_hosting
from hosting.deployment import check_deployment
from hosting.observability import switches
from hosting.process import gate


class HostingConfig(AppConfig):
    name = "hosting"
    verbose_name = "Hosted services"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        checks.register(check_hosting, "hosting")
        checks.register(check_deployment, "hosting", deploy=True)
        switches.connect()
        gate.at_ready()

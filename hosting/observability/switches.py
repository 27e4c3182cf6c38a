"""Connects the observers that `HOSTING` switches on; only their modules need what is optional."""

from __future__ import annotations

from importlib import import_module

from hosting.conf import HostingSettings
from hosting.conf.settings import load_settings
from hosting.exceptions import ConfigurationError

PROMETHEUS = "hosting.observability.prometheus"
TRACING = "hosting.observability.tracing"


def connect() -> None:
    """Connect them in this process.

    With wrong settings nothing is observed, as nothing is hosted: the checks say what is wrong.
    """
    try:
        settings = load_settings()
    except ConfigurationError:
        return
    for module in _chosen(settings):
        import_module(module).connect()


def _chosen(settings: HostingSettings) -> list[str]:
    chosen = {PROMETHEUS: settings.metrics, TRACING: settings.tracing}
    return [module for module, is_on in chosen.items() if is_on]

"""The metrics as text."""

from __future__ import annotations

import os
from typing import Any

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    REGISTRY,
    CollectorRegistry,
    generate_latest,
    multiprocess,
)

from hosting.observability.prometheus import store_collector


def render() -> tuple[bytes, str]:
    """The text of all metrics of this process, or of all in multiprocess mode; its type."""
    body: bytes = generate_latest(_registry())
    return body, str(CONTENT_TYPE_LATEST)


def _registry() -> CollectorRegistry:
    if not os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
        return REGISTRY
    registry = CollectorRegistry()
    made: Any = multiprocess.MultiProcessCollector  # which has no types
    made(registry)
    if (collector := store_collector()) is not None:
        registry.register(collector)
    return registry

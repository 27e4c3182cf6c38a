"""The classes from which services are made."""

from hosting.services.base import BackgroundService, HostedService, Runtime
from hosting.services.health import Condition, Health
from hosting.services.lease import Lease
from hosting.services.state import ServiceState, ServiceStatus
from hosting.services.units import ScopedService, TimedService

__all__ = [
    "BackgroundService",
    "Condition",
    "Health",
    "HostedService",
    "Lease",
    "Runtime",
    "ScopedService",
    "ServiceState",
    "ServiceStatus",
    "TimedService",
]

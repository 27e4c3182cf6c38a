"""The errors of `hosting`; each names the thing, the value and what is allowed."""

from __future__ import annotations

from django.core.exceptions import ImproperlyConfigured


class HostingError(Exception):
    """Base class of the errors raised by `hosting`."""


class OperationCancelled(HostingError):
    """Raised by `CancellationToken.raise_if_cancelled()`: the work was asked to end early."""


class QueueFull(HostingError):
    """The in-memory queue had no room within the time that the caller was willing to wait."""


class HostStateError(HostingError):
    """A host was asked for something that its state does not allow, such as a second start."""


class ServiceStartError(HostingError):
    """A service could not be started; whatever had started before it was stopped again."""

    def __init__(self, service: str, reason: str) -> None:
        super().__init__(f"Service {service!r} could not be started: {reason}")
        self.service = service


class ServiceStopError(HostingError):
    """A service failed to stop, or did not stop in the time it was given."""

    def __init__(self, service: str, reason: str) -> None:
        super().__init__(f"Service {service!r} did not stop cleanly: {reason}")
        self.service = service


class LeaseLost(OperationCancelled):
    """Another process may hold the lease of the service now, so what was to be written was not.

    The service is asked to end at the same time, so that it is no failure if it ends with this.
    """

    def __init__(self, name: str) -> None:
        super().__init__(f"The lease {name!r} is not held any more, so nothing was written.")


class ConfigurationError(ImproperlyConfigured, HostingError):
    """The settings of `hosting` are wrong; the message lists every problem found."""


class ArgumentError(HostingError, TypeError):
    """A task argument or return value cannot be stored as JSON; the message names it."""


class UnknownSchedule(HostingError, LookupError):
    """There is no schedule of this name; the message lists those that there are."""

"""A started host for the tests of services, and the lifecycle contract as assertions."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps

from hosting.conf import HostingSettings
from hosting.exceptions import HostStateError
from hosting.host import Host
from hosting.services import HostedService, ServiceState
from hosting.supervision import SupervisedService

#: Seconds that a thread which has done its work has to end.
THREAD_PATIENCE = 1.0


@contextmanager
def started(*services: HostedService, settings: HostingSettings | None = None) -> Iterator[Host]:
    """A host that has started these services, and stops them at the end of the block."""
    with Host([SupervisedService(service) for service in services], settings) as host:
        yield host


def assert_lifecycle(make: Callable[[], HostedService]) -> None:
    """Assert that the services which `make` gives keep the lifecycle contract of a host.

    Stop before start, stop twice, stop from several threads at once, a second start: each on a
    fresh service, which must end stopped, with its `close` called exactly once.
    """
    for play in (_start_and_stop, _stop_first, _stop_twice, _stop_from_threads, _start_twice):
        service = make()
        closed = _count_closes(service)
        host = Host([SupervisedService(service)])
        play(host)
        [status] = host.services()
        assert status.state is ServiceState.STOPPED, f"{play.__name__}: ended {status}"
        assert closed == [service], f"{play.__name__}: close() was called {len(closed)} times"
        _assert_no_threads_of(status.name)


def _start_and_stop(host: Host) -> None:
    host.start()
    assert host.services()[0].state in (ServiceState.RUNNING, ServiceState.COMPLETED)
    host.stop()


def _stop_first(host: Host) -> None:
    host.stop()


def _stop_twice(host: Host) -> None:
    host.start()
    host.stop()
    host.stop()


def _stop_from_threads(host: Host) -> None:
    host.start()
    threads = [threading.Thread(target=host.stop) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _start_twice(host: Host) -> None:
    host.start()
    try:
        host.start()
    except HostStateError:
        host.stop()
    else:
        raise AssertionError("a second start raised no error")


def _count_closes(service: HostedService) -> list[HostedService]:
    closed: list[HostedService] = []
    close = service.close

    @wraps(close)
    def counted(*args: object) -> object:
        closed.append(service)
        return close(*args)

    service.close = counted  # type: ignore[method-assign]  # of this one only
    return closed


def _assert_no_threads_of(name: str) -> None:
    own = (f"hosting:{name}", f"hosting:{name}:")
    for thread in threading.enumerate():
        if thread.name == own[0] or thread.name.startswith(own[1]):
            thread.join(THREAD_PATIENCE)
            assert not thread.is_alive(), f"the thread {thread.name} was left behind"

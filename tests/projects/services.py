"""Services that write a line for each of their moments, and misbehave in one way each."""

import os
import sys
import threading

from hosting import BackgroundService, CancellationToken
from hosting.compat import task_backends
from tests.projects import tasks
from tests.projects.telling import write_fact


class Recorder(BackgroundService):
    """Runs until it is stopped, which takes it `stop_seconds`."""

    def __init__(self, stop_seconds: float = 0) -> None:
        self.stop_seconds = stop_seconds

    def start(self, cancel: CancellationToken) -> None:
        self.note("start")

    def execute(self, stopping: CancellationToken) -> None:
        self.note("execute")
        self.run(stopping)
        self.note("executed")

    def run(self, stopping: CancellationToken) -> None:
        stopping.wait()

    def stop(self, cancel: CancellationToken) -> None:
        self.note("stop")
        hurried = cancel.wait(self.stop_seconds) if self.stop_seconds else False
        self.note("stopped, hurried" if hurried else "stopped")

    def close(self) -> None:
        self.note("close")

    def note(self, event: str) -> None:
        write_fact(self.name, event)


class Second(Recorder):
    """Another one, for the order."""


class Refusing(Recorder):
    """Does not start."""

    def start(self, cancel: CancellationToken) -> None:
        super().start(cancel)
        raise RuntimeError("the port is taken")


class Fragile(Recorder):
    """Does not start while there is a file of this name."""

    def __init__(self, path: str) -> None:
        super().__init__()
        self.path = path

    def start(self, cancel: CancellationToken) -> None:
        super().start(cancel)
        if os.path.exists(self.path):
            raise RuntimeError("it is broken")


class Dawdling(Recorder):
    """Starts for as long as it may."""

    def start(self, cancel: CancellationToken) -> None:
        super().start(cancel)
        cancel.wait()


class Crashing(Recorder):
    """Crashes whenever it runs."""

    def run(self, stopping: CancellationToken) -> None:
        raise RuntimeError("the disk is full")


class Stubborn(Recorder):
    """Never ends of its own accord."""

    def run(self, stopping: CancellationToken) -> None:
        threading.Event().wait()


class Unstoppable(Recorder):
    """Fails to stop."""

    def stop(self, cancel: CancellationToken) -> None:
        super().stop(cancel)
        raise RuntimeError("the line is dead")


class Leaving(Recorder):
    """Asks the host to stop."""

    def run(self, stopping: CancellationToken) -> None:
        self.lifetime.stop()


class DyingInSlot1(Recorder):
    """Takes its process with it, if that is the first of a supervisor's."""

    def run(self, stopping: CancellationToken) -> None:
        if os.environ["HOSTING_WORKER_SLOT"] == "1":
            os._exit(9)
        super().run(stopping)


class Optimized(Recorder):
    """Tells of the interpreter, as far as its flags -O and -u are concerned."""

    def start(self, cancel: CancellationToken) -> None:
        assertions = "with" if __debug__ else "without"
        buffering = "unbuffered" if "-u" in sys.orig_argv else "buffered"
        self.note(f"{assertions} assertions, {buffering}")


class Enqueuer(Recorder):
    """Enqueues a job."""

    def __init__(self, task: str) -> None:
        super().__init__()
        self.task = task

    def run(self, stopping: CancellationToken) -> None:
        task_backends["default"].enqueue(getattr(tasks, self.task), [], {})


class Silent(Recorder):
    """Gives no sign of life."""

    watchdog = 0.3


class Nosy(Recorder):
    """Tells whether a child of this process would hear of the service manager."""

    def start(self, cancel: CancellationToken) -> None:
        super().start(cancel)
        self.note(f"NOTIFY_SOCKET={os.environ.get('NOTIFY_SOCKET')}")

"""A way to a server that can fall silent: what is sent vanishes, and no connection is closed."""

import socket
import threading
from contextlib import suppress
from typing import Self

HOST = "127.0.0.1"


class Proxy:
    """Forwards connections to a port of the loopback, for as long as the block lasts."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._listening = socket.create_server((HOST, 0))
        self.port = int(self._listening.getsockname()[1])
        self._lock = threading.Lock()
        self._connections: list[_Connection] = []
        self._is_silent = False
        self._is_closed = False

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True, name="proxy").start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._is_closed = True
        with suppress(OSError):  # wakes who waits in `accept`
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        with self._lock:
            for each in self._connections:
                each.close()

    def fall_silent(self) -> None:
        """Forward nothing any more, neither of the connections that there are nor of new ones."""
        with self._lock:
            self._is_silent = True
            for each in self._connections:
                each.is_silent = True

    def speak_again(self) -> None:
        """Forward new connections; the old ones are forgotten on the way, and stay silent."""
        with self._lock:
            self._is_silent = False

    def _accept(self) -> None:
        while not self._is_closed:
            try:
                near, _ = self._listening.accept()
            except OSError:
                return
            with self._lock:
                if self._is_closed:
                    near.close()
                    return
                self._connections.append(_Connection(near, self._target, self._is_silent))


class _Connection:
    def __init__(self, near: socket.socket, port: int, is_silent: bool) -> None:
        self.is_silent = is_silent
        far = socket.create_connection((HOST, port))
        self._ends = (near, far)
        for source, target in (self._ends, self._ends[::-1]):
            threading.Thread(target=self._forward, args=(source, target), daemon=True).start()

    def close(self) -> None:
        for end in self._ends:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def _forward(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65_536):
                if not self.is_silent:
                    target.sendall(data)
        if not self.is_silent:
            with suppress(OSError):
                target.shutdown(socket.SHUT_WR)

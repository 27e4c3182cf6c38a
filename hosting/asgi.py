"""The lifespan of an ASGI server, which Django does not answer.

    application = HostingLifespan(get_asgi_application())

The server says when it begins and when it has ended its requests (ASGI's lifespan protocol,
https://asgi.readthedocs.io/en/latest/specs/lifespan.html). With that the services begin and end,
also in a process that is not recognised as a server's otherwise.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import suppress
from typing import Any

from hosting.process import gate

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Any, Any, Any], Awaitable[None]]


class HostingLifespan:
    """An ASGI application that hosts the project's services as long as its server runs.

    Everything but the lifespan goes to `application`. The server is not kept waiting for the start
    of the services. It is for their stop, which takes SHUTDOWN_TIMEOUT and a few times half a
    second at most.
    """

    def __init__(self, application: Application) -> None:
        self._application = application

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        else:
            await self._application(scope, receive, send)

    async def _live(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                gate.at_lifespan()
                await send({"type": "lifespan.startup.complete"})
            elif message["type"] == "lifespan.shutdown":
                await _stop()
                await send({"type": "lifespan.shutdown.complete"})
                return


async def _stop() -> None:
    # On a thread of its own: those of the loop's executor may be busy with requests for ever.
    loop, stopped = asyncio.get_running_loop(), asyncio.Event()

    def stop() -> None:
        gate.stop()
        with suppress(RuntimeError):  # the server has not waited
            loop.call_soon_threadsafe(stopped.set)

    threading.Thread(target=stop, name="hosting:stop", daemon=True).start()
    await stopped.wait()

"""The ASGI application that answers the server's lifespan, as a server speaks to it."""

from __future__ import annotations

import asyncio
from collections.abc import MutableMapping
from typing import Any

from hosting.asgi import HostingLifespan

Message = MutableMapping[str, Any]


async def echo(scope: Message, receive: Any, send: Any) -> None:
    """An application that sends back what it gets."""
    await send({"scope": scope, "received": await receive()})


async def call(scope: Message, *messages: Message) -> list[Message]:
    """What the application, which is called with these messages, sends."""
    arriving, sent = iter(messages), []

    async def receive() -> Message:
        return next(arriving)

    async def send(message: Message) -> None:
        sent.append(message)

    await HostingLifespan(echo)(scope, receive, send)
    return sent


def test_the_lifespan_is_answered_from_startup_to_shutdown() -> None:
    sent = asyncio.run(
        call({"type": "lifespan"}, {"type": "lifespan.startup"}, {"type": "lifespan.shutdown"})
    )

    assert sent == [
        {"type": "lifespan.startup.complete"},
        {"type": "lifespan.shutdown.complete"},
    ]


def test_everything_else_goes_to_the_application() -> None:
    for kind in ("http", "websocket"):
        scope, message = {"type": kind, "path": "/"}, {"type": f"{kind}.event"}

        assert asyncio.run(call(scope, message)) == [{"scope": scope, "received": message}]

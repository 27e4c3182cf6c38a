"""Asking another process for its health over HTTP."""

from __future__ import annotations

import json
import math
from http.client import HTTPException
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, OpenerDirector, ProxyHandler, build_opener

#: Bytes of an answer that are read.
LONGEST = 1_000_000


def ask_at(url: str, timeout: float) -> dict[str, Any]:
    """What the process at this address answers, with its "status" and "reasons".

    One that does not answer within `timeout` seconds is failing. Raises ValueError for arguments of
    a wrong kind.
    """
    if not _is_address(url):
        raise ValueError(
            f"--url is {url!r}, allowed: an address that begins with http:// or https://"
        )
    if not (math.isfinite(timeout) and timeout > 0):
        raise ValueError(f"--timeout is {timeout:g}, allowed: a number of seconds above 0")
    # The opener's own limit is for each byte anew, and looking up the name of a host knows none.
    answers: SimpleQueue[dict[str, Any]] = SimpleQueue()
    Thread(target=lambda: answers.put(_asked(url, timeout)), daemon=True).start()
    try:
        return answers.get(timeout=timeout)
    except Empty:
        return _failing(f"no answer within {timeout:g} s")


def _asked(url: str, timeout: float) -> dict[str, Any]:
    try:
        with _opener().open(url, timeout=timeout) as response:
            return _understood(response.read(LONGEST), response.status)
    except HTTPError as error:
        with error:
            return _understood(error.read(LONGEST), error.code)
    except (OSError, HTTPException, ValueError) as error:
        return _failing(f"no answer: {getattr(error, 'reason', None) or error}")


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname)


def _opener() -> OpenerDirector:
    # Neither through a proxy, which would not find this machine, nor to a page that is always well.
    return build_opener(ProxyHandler({}), _StayHere)


class _StayHere(HTTPRedirectHandler):
    def redirect_request(self, *args: Any) -> None:
        return None


def _understood(content: bytes, status: int) -> dict[str, Any]:
    try:
        answer = json.loads(content)
        is_ours = answer["status"] in ("ok", "failing") and isinstance(answer["reasons"], list)
    except (ValueError, TypeError, LookupError):
        is_ours = False
    if not is_ours or (status == 200) != (answer["status"] == "ok"):
        return _failing(f"answered with status {status}, but not as hosting does")
    return dict(answer)


def _failing(reason: str) -> dict[str, Any]:
    return {"status": "failing", "reasons": [reason]}

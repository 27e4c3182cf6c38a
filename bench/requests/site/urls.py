"""A short text without a query: at /sync for WSGI, at /async for ASGI."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.urls import path

from bench.requests.load import ANSWER


def answer(request: HttpRequest) -> HttpResponse:
    return HttpResponse(
        ANSWER, content_type="text/plain", headers={"Content-Length": str(len(ANSWER))}
    )


async def answer_async(request: HttpRequest) -> HttpResponse:
    return answer(request)


urlpatterns = [path("sync", answer), path("async", answer_async)]

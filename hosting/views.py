"""The health of this process as JSON: 200 or 503, for anybody, and never from a cache.

What is asked for every few seconds must cost nothing, so nothing here asks the database, not even
who asks (see `hosting.observability.health`).
"""

from __future__ import annotations

from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from hosting.process.probes import ask


@login_not_required
@never_cache
@require_safe
def health(request: HttpRequest, question: str) -> JsonResponse:
    """The answer to one of `hosting.observability.health.QUESTIONS`."""
    answer = ask(question)
    return JsonResponse(answer.as_json(), status=answer.status_code)

"""What a scrape of Prometheus gets, for a URL or any other server to give.

`prometheus_client` is imported only once METRICS has switched it on. In its multiprocess mode
(`PROMETHEUS_MULTIPROC_DIR`) the processes behind one port answer for all of them.
"""

from __future__ import annotations

from importlib import import_module

from django.contrib.auth.decorators import login_not_required
from django.http import Http404, HttpRequest, HttpResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from hosting.conf.settings import load_settings

#: Which is imported late, as it needs the extra.
RENDERING = "hosting.observability.rendering"


def render_metrics() -> tuple[bytes, str] | None:
    """The text of all metrics and its content type; None if METRICS is off.

    Raises `ConfigurationError` if HOSTING is wrong.
    """
    if not load_settings().metrics:
        return None
    body, content_type = import_module(RENDERING).render()
    return body, content_type


@login_not_required
@never_cache
@require_safe
def metrics_view(request: HttpRequest) -> HttpResponse:
    """The metrics, for Prometheus to scrape; 404 if METRICS is off."""
    rendered = render_metrics()
    if rendered is None:
        raise Http404("HOSTING['METRICS'] is off.")
    body, content_type = rendered
    return HttpResponse(body, content_type=content_type)

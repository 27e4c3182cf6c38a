"""What the host logs can be read, also in a project that has configured no logging for it.

Django's default logging drops what is below WARNING, and what it shows has neither a time nor a
name: nothing would tell that services are hosted, where, and that they have stopped.
"""

from __future__ import annotations

import logging
import sys

_logger = logging.getLogger("hosting")


def ensure_logging() -> None:
    """Show what `hosting` logs from INFO on, if the project has configured no handler for it."""
    if _logger.hasHandlers():
        return
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    _logger.addHandler(handler)
    _logger.setLevel(logging.INFO)

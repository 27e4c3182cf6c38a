"""The one form in which lines of log speak of a job."""

from __future__ import annotations

import logging

from hosting.queues.hand import claim_fields
from hosting.queues.stores.values import Claim


def log_job(
    logger: logging.Logger,
    level: int,
    service: str,
    claim: Claim,
    words: str,
    *values: object,
    error: BaseException | None = None,
) -> None:
    """Log what became of a claimed job: its id and task, and then the words with their values."""
    if logger.isEnabledFor(level):
        logger.log(
            level,
            f"Job %s (%s){words}",
            claim.id,
            claim.task_path,
            *values,
            exc_info=error,
            extra={"service": service, **claim_fields(claim)},
        )

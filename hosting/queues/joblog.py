"""The one form in which lines of log speak of a job."""

from __future__ import annotations

import logging

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
    job = str(claim.id)
    logger.log(
        level,
        f"Job %s (%s){words}",
        job,
        claim.task_path,
        *values,
        exc_info=error,
        extra={"service": service, "job": job, "task": claim.task_path},
    )

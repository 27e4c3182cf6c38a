"""Tasks that log, for the tests of what their records say."""

import logging

from hosting import task

logger = logging.getLogger("shop")


@task
def log(word: str) -> None:
    logger.info(word)


@task
async def alog(word: str) -> None:
    logger.info(word)


@task(atomic=True)
def log_atomically(word: str) -> None:
    logger.info(word)


@task
def fail() -> None:
    raise LookupError("as told")

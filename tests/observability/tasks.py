"""The tasks that the tests of the observers enqueue."""

from hosting import task


@task
def add(a: int) -> int:
    return a + 1


@task
async def aadd(a: int) -> int:
    return a + 1


@task(atomic=True)
def add_atomically(a: int) -> int:
    return a + 1


@task(max_attempts=2, backoff=lambda failures: 0)
def fail(message: str) -> None:
    raise LookupError(message)


@task
def enqueue_next() -> None:
    add.enqueue(1)


@task
async def aenqueue_next() -> None:
    await add.aenqueue(1)

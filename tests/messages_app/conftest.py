"""The in-memory queue as a test finds and leaves it."""

from collections.abc import Iterator

import pytest

from hosting import background_tasks


@pytest.fixture(autouse=True)
def _empty_queue() -> Iterator[None]:
    yield
    while background_tasks.poll():
        pass


@pytest.fixture
def consumer() -> Iterator[None]:
    """This process counts as one that drains the in-memory queue; the items stay in it."""
    with background_tasks.consumer():
        yield

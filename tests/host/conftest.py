"""Every test of the host ends with no thread left."""

from collections.abc import Iterator

import pytest

from hosting.cancellation import CancellationToken
from tests.host.helpers import Journal, assert_no_threads_left


@pytest.fixture
def journal() -> Journal:
    return Journal()


@pytest.fixture
def release() -> Iterator[CancellationToken]:
    """Cancelled at the end of the test: whoever hangs on it ends then."""
    token = CancellationToken()
    yield token
    token.cancel()


@pytest.fixture(autouse=True)
def no_threads_left(release: CancellationToken) -> Iterator[None]:
    yield
    release.cancel()
    assert_no_threads_left()

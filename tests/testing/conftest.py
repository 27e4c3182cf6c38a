"""The test kit is tested where its users are: in a test's transaction, and without one."""

import pytest

from tests.testing import tasks


@pytest.fixture(
    params=[
        pytest.param("in a transaction", marks=pytest.mark.django_db),
        pytest.param("without", marks=pytest.mark.django_db(transaction=True)),
    ]
)
def database(request: pytest.FixtureRequest) -> str:
    """As in `TestCase` and as in `TransactionTestCase`."""
    return str(request.param)


@pytest.fixture(autouse=True)
def _fresh_calls() -> None:
    tasks.calls.clear()

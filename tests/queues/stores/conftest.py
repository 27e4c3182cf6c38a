"""What every test of the stores has in common."""

from pathlib import Path

import pytest

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Have only the tables of the queue emptied after each test, which is most of its time."""
    mark = pytest.mark.django_db(transaction=True, available_apps=["hosting"])
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(mark)

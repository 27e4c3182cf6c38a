"""A table that jobs write to, with a constraint that is checked at the commit."""

from collections.abc import Iterator

import pytest
from django.db import connection


@pytest.fixture
def effect_table(transactional_db: None) -> Iterator[None]:
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE IF EXISTS at_work_effect")
        cursor.execute(
            "CREATE TABLE at_work_effect (what varchar(100) PRIMARY KEY, after varchar(100) "
            "REFERENCES at_work_effect (what) DEFERRABLE INITIALLY DEFERRED)"
        )
    yield
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE at_work_effect")

"""A table of PostgreSQL whose rows are checked at the end of their transaction."""

from django.db import connection


def check_at_the_commit(what: str) -> None:
    """Make the table `checked`, of this session, and have this done with every row of it."""
    with connection.cursor() as cursor:
        cursor.execute("CREATE TEMPORARY TABLE checked (what text)")
        cursor.execute(
            "CREATE FUNCTION pg_temp.check_it() RETURNS trigger LANGUAGE plpgsql AS "
            f"$$ BEGIN {what}; RETURN NULL; END $$"
        )
        cursor.execute(
            "CREATE CONSTRAINT TRIGGER late AFTER INSERT ON checked DEFERRABLE INITIALLY DEFERRED "
            "FOR EACH ROW EXECUTE FUNCTION pg_temp.check_it()"
        )

"""Unique keys where no constraint can have a condition, as on MySQL and MariaDB.

Django leaves such a constraint out there. One over all rows does the same, as it takes any number
of NULLs.
"""

from typing import Any

from django.db import migrations, models

CONSTRAINT = models.UniqueConstraint(fields=["unique_key"], name="hosting_job_unique")


def create(apps: Any, schema_editor: Any) -> None:
    if not schema_editor.connection.features.supports_partial_indexes:
        schema_editor.add_constraint(apps.get_model("hosting", "Job"), CONSTRAINT)


def remove(apps: Any, schema_editor: Any) -> None:
    if not schema_editor.connection.features.supports_partial_indexes:
        schema_editor.remove_constraint(apps.get_model("hosting", "Job"), CONSTRAINT)


class Migration(migrations.Migration):
    dependencies = [("hosting", "0002_lease")]

    # Outside a transaction, in which MySQL changes no table; elsewhere nothing is done.
    operations = [migrations.RunPython(create, remove, atomic=False)]

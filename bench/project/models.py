"""What a job writes."""

from __future__ import annotations

from django.db import models


class Row(models.Model):
    """A row that one job inserted; it has no migration, `syncdb` makes its table."""

    text = models.CharField(max_length=64)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        app_label = "project"

    def __str__(self) -> str:
        return self.text


def insert() -> None:
    """Insert one row by the ORM."""
    Row._default_manager.create(text="inserted by a job")

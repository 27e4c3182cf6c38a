"""Users of the dashboard, and what its pages say to them."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client


@pytest.fixture
def client(db: None) -> Client:
    """Of a user who may do everything."""
    client = Client()
    client.force_login(User.objects.create_superuser("root"))
    return client


@pytest.fixture
def staff(db: None) -> Callable[..., Client]:
    """Clients of users of the admin who have these permissions and no others."""

    def make(*codenames: str, **options: Any) -> Client:
        user = User.objects.create_user(f"staff {' '.join(codenames)}", is_staff=True)
        user.user_permissions.set(Permission.objects.filter(codename__in=codenames))
        client = Client(**options)
        client.force_login(user)
        return client

    return make


def shown(response: Any) -> str:
    """The text of a page, without its tags."""
    assert response.status_code == 200, response
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", response.content.decode()))


def told(response: Any) -> list[str]:
    """What the page after an action says of it."""
    assert response.status_code == 200, response
    return [str(message) for message in response.context["messages"]]

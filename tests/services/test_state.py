"""The states of a service and the moves between them."""

from __future__ import annotations

import itertools

import pytest

from hosting.services import ServiceState

LEGAL = {
    "created": {"starting", "stopping"},
    "starting": {"standby", "running", "failed", "stopping"},
    "standby": {"starting", "failed", "stopping"},
    "running": {"standby", "restarting", "completed", "failed", "stopping"},
    "restarting": {"standby", "running", "failed", "stopping"},
    "completed": {"standby", "stopping"},
    "failed": {"stopping"},
    "stopping": {"stopped", "failed"},
    "stopped": set(),
}


@pytest.mark.parametrize(("old", "new"), list(itertools.product(LEGAL, LEGAL)))
def test_every_move_is_legal_or_not(old: str, new: str) -> None:
    assert ServiceState(old).may_become(ServiceState(new)) is (new in LEGAL[old])


def test_every_state_is_in_the_table() -> None:
    assert {state.value for state in ServiceState} == LEGAL.keys()


def test_two_states_need_to_be_looked_at() -> None:
    assert {state.value for state in ServiceState if not state.is_healthy} == {
        "restarting",
        "failed",
    }

"""What a fleet costs that has nothing to do: processes of which one runs a service with a lease.

The others stand by and look whether it is free; all of them look for slots of schedules, of which
there are none, and say that they live. They are watched once every process has told so, as `idle`
watches one worker; CPU is that of all together.
"""

from __future__ import annotations

import json
import os

from django.db import connection

from bench.measures.idle import REST, STARTUP, statements_of
from bench.order import Numbers, Order
from bench.place import SERVICES
from bench.waiting import pause, wait_until
from bench.workers import running
from hosting import fleet

PROCESSES = 20

_SERVICES = [{"SERVICE": "bench.project.services.Idle", "SINGLETON": True}, "hosting.Scheduler"]


def idle_fleet(order: Order) -> Numbers:
    os.environ[SERVICES] = json.dumps(_SERVICES)
    statements = statements_of(order)
    command, log = order.subject.command(), order.place.path("log")
    with running(command, log, PROCESSES) as workers:
        wait_until(_all_are_settled, "one runs and the others stand by", 2 * STARTUP)
        pause(REST)
        before, counted = [worker.usage() for worker in workers], statements()
        pause(order.idle_seconds)
        after, counted = [worker.usage() for worker in workers], statements() - counted
        for worker in workers:
            worker.require_alive()
    used = sum(each.cpu for each in after) - sum(each.cpu for each in before)
    return {
        "processes": PROCESSES,
        "statements_per_second": counted / order.idle_seconds,
        "cpu_percent": 100 * used / order.idle_seconds,
    }


def _all_are_settled() -> bool:
    states = [str(each.state) for each in fleet.services() if each.name == "Idle"]
    connection.close()  # which is not one of those that are watched
    return states.count("running") == 1 and states.count("standby") == PROCESSES - 1

"""What is measured: each takes an `Order` and returns numbers by name, which says their unit."""

from bench.measures import backlog, drain, enqueue, fleet, idle, latency, memory, profile

MEASURES = {
    "drain": drain.one_process,
    "drain2": drain.two_processes,
    "insert": drain.inserting,
    "insert_atomic": drain.inserting_atomically,
    "enqueue": enqueue.one_by_one,
    "enqueue_many": enqueue.many,
    "latency": latency.latency,
    "backlog_small": backlog.small,
    "backlog_large": backlog.large,
    "snapshot": backlog.under_a_snapshot,
    "idle": idle.idle,
    "idle_fleet": fleet.idle_fleet,
    "memory": memory.memory,
    "profile": profile.profile,
}

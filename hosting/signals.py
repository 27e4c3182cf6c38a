"""What the core announces, for observers to hear. The payloads stand in `docs/signals.md`."""

from __future__ import annotations

from django.dispatch import Signal

#: A service changed its state. sender: the service's class; `service` (its name), `old` and `new`
#: (`ServiceState`), `error` (the exception that caused it, or None).
service_state_changed = Signal()

#: The condition of a service that runs has changed. sender: the service's class; `service` (its
#: name), `old` and `new` (`Condition`), `reason` (text for the new one).
service_condition_changed = Signal()

#: A host finished starting. sender: the host's class; `host`.
host_started = Signal()

#: A host finished stopping. sender: the host's class; `host`, `errors` (those of the services).
host_stopped = Signal()

#: A tick or iteration begins, and its code runs on this thread next. sender: the service's class;
#: `service` (its name).
tick_started = Signal()

#: A tick or iteration ended. sender: the service's class; `service` (its name), `seconds` it took,
#: `error` (the exception it raised, or None).
tick_finished = Signal()

#: Jobs are about to be written. sender: the backend's class; `task`, `carried` (a dict of texts, to
#: which receivers may add what the jobs are to take along).
jobs_enqueuing = Signal()

#: An attempt of a job begins, and its task is called on this thread next. sender: the backend's
#: class; `job` (a `JobInHand`).
attempt_started = Signal()

#: An attempt of a job has ended, and its outcome is not stored yet. On the same thread. sender: the
#: backend's class; `job` (a `JobInHand`), `outcome` (an `Outcome`).
attempt_ended = Signal()

#: It is settled what has become of jobs in hand. sender: the backend's class; `service` (the name
#: of the worker), `attempts` (a list of `SettledAttempt`).
attempts_settled = Signal()

#: A worker has settled and claimed in one round trip. sender: the store's class; `service` (the
#: name of the worker), `seconds` it took, `settled` and `claimed` (how many jobs).
round_trip_finished = Signal()

#: Jobs were taken from processes that are gone. sender: the store's class; `rescue` (a `Rescue`).
jobs_rescued = Signal()

#: A key was pressed in `runworker --interactive`. sender: the console's class; `key`.
key_pressed = Signal()

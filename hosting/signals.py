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

#: A tick or iteration ended. sender: the service's class; `service` (its name), `seconds` it took,
#: `error` (the exception it raised, or None).
tick_finished = Signal()

#: A key was pressed in `runworker --interactive`. sender: the console's class; `key`.
key_pressed = Signal()

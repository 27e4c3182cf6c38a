"""Observers: they listen to what the core announces, and the core imports none of them.

switches      connects those that `HOSTING` switches on
health        what a process answers when it is asked for its health
metrics       what a scrape gets, and the view for it
prometheus    counts what happens in this process (METRICS)
collecting    asks the database at a scrape, and what is in memory
tracing       spans of OpenTelemetry for jobs and ticks (TRACING)
receiving     what an observer is
logs          the fields of a service or job on every log record
lines         keeps log lines for the admin, with linewriter and linetable

`prometheus`, `collecting` and `tracing` need the extras of the same name, and are imported only
where they are switched on.
"""

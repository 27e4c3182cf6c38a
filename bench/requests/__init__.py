"""Measures what hosting costs the requests of a web process: `make bench-requests`.

servers  the web servers, and how each is started
site     the project that is served: a view that answers a short text, and the services
sites    a server with one web process, its host off, idle or busy
feeder   a process that keeps jobs waiting for the busy host
load     a process that asks for pages, and what it finds
run      the cells of a comparison, interleaved
table    what becomes of the numbers

A comparison is of one server on one database. Three sites of it stay up, each with a database of
its own: one whose host is off; one whose host is idle, with a `TaskWorker` that has no jobs and a
`TimedService` that is due every second; and one that is busy, with the same services. A cell is
some seconds of load on one of them. A round has a cell of each, in another order than the round
before. A value is the median of the rounds; ratios are taken within a round.

The load is closed: so many connections, each of which asks again as soon as it is answered. So the
web process never rests, and the milliseconds include the wait for the requests that came before.
They come by Unix sockets, as from a reverse proxy on the same machine. While the busy site is
measured, and only then, some hundred jobs always wait, and its worker executes what it can of
them: each job inserts a row by the ORM.
"""

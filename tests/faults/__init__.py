"""What becomes of jobs when processes, connections, databases and clocks fail.

fleet     real workers on one database, and what is known of their jobs afterwards
program   the worker's process, with a clock that is wrong or with less patience
enqueue   a process that enqueues
tasks     the jobs, which write a row for each time that they run
server    a PostgreSQL of a test's own, which it may stop
proxy     a connection that falls silent
network   hosts that can be cut off
team      workers on such hosts, and the terms of a singleton in them
terms     that singleton, which writes rows and enqueues jobs
scale     how many jobs and faults

Whatever is claimed here is read from the database when all is over; nothing is judged by time.
"""

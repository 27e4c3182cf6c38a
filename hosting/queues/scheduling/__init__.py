"""Schedules: which task is enqueued when, exactly once for each slot.

slots        which moments are due, and what becomes of those that were missed
definition   whether a schedule can be: its task, its arguments, its times
declared     the schedules of the settings, and the databases they belong to
keeper       looks what is due in one database, and enqueues it
desk         when it looks, and what happens while the database is away
words        what people are told of a schedule
listing      all schedules, with their next and their last run

    look ---> due? ---> lock the row ---> due still? ---> enqueue the jobs
     ^         | no     (or pass it over)                 write the rows of the slots
     |         v                                          move the schedule's mark
     +------ sleep until the next slot <----------------- commit

All that is between the lock and the commit is one transaction. The row of a slot is unique, so
whatever the locks are worth, two transactions that enqueue for one slot cannot both commit.
"""

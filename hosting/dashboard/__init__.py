"""The dashboard in Django's admin: what the fleet does, and what people do with it.

page                          what all pages have in common: who may see them, and the log
places                        the databases that have jobs
filters, search, counts       the list of jobs: what is asked for, found and counted, within bounds
jobs, detail, arguments       the pages of jobs
actions                       what is done with jobs
depths, traffic, charts       the page of queues: what waits, and what has ended
queues                        ... with its actions
processes                     the page of the fleet
lines                         the log lines of jobs and services that are kept

Every query is bounded, whatever the tables hold: it reads so many rows along an index, and the page
says where it has stopped.
"""

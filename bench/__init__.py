"""Measures the queue and its peers side by side: `make bench`, or `python -m bench --help`.

goals                        what the product promises; the table says which are met
place, server, versions      where a trial runs: databases, Redis; and on what
peers                        one file per subject: how it is installed, fed, and its worker started
tally, work, workers         what jobs do, and the processes that run them
measures                     what is done to a subject, and what is read off
trial, run                   one measurement in a process of its own; all of them, interleaved
results, table, chart, page  what becomes of the numbers
percentiles                  what is read off many values
requests                     a bench of its own, of a web process that hosts: `make bench-requests`

A trial is one measure of one subject on one database, in a new process, on a new database. Trials
are interleaved: every subject once, then every subject again; a value is the median of the rounds.
Ratios are taken within a round. A subject that cannot be installed is skipped, and the table says
why.
"""

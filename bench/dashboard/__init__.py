"""Measures what the pages of the dashboard cost the database when its tables are large.

Both tables get so many rows: jobs in every state, and results of which some have failed, half of
them of the last hour. Each page is asked for as a browser does. What it has asked of the database
is then executed again, several times, with all its rows fetched; the time of a page is the sum of
the best, as the machine may be shared. `--plans` shows how the slowest statement of each page is
executed.
"""

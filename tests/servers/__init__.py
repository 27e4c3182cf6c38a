"""The real servers, hosting a project of the tests.

launches   how each server is started, and what is true of it
serving    one that runs: its workers, its pages
matrix     the table in docs/servers.md, from a run of these tests
"""

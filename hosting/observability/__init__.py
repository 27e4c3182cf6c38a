"""Observers of hosts: they look on, and nothing in the core knows of them."""

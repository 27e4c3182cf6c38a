"""Facts: lines that a process of the project writes, and a test waits for."""

import os
import threading


def write_fact(name: str, event: str) -> None:
    """One line in one write, also if another process is in the middle of a line of its own."""
    thread = threading.current_thread().name.replace(" ", "_")
    os.write(1, f"\nfact {name} {event} pid={os.getpid()} thread={thread}\n".encode())

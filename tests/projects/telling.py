"""Facts: lines that a process of the project writes, and a test waits for."""

import os
import threading


def write_fact(name: str, event: str) -> None:
    """One line in one write, so that lines of several processes do not mix."""
    thread = threading.current_thread().name.replace(" ", "_")
    os.write(1, f"fact {name} {event} pid={os.getpid()} thread={thread}\n".encode())

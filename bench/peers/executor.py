"""`concurrent.futures.ThreadPoolExecutor(1)`: see `measures.memory`."""

from __future__ import annotations

from bench.peers.ours import Peer

__all__ = ["Peer"]

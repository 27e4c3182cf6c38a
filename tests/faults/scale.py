"""How many jobs and faults: `make test-faults` has a few, `make soak` has them all."""

import os

JOBS = int(os.environ.get("FAULTS_JOBS", "6000"))
KILLS = int(os.environ.get("FAULTS_KILLS", "8"))
SEED = int(os.environ.get("FAULTS_SEED", "1"))

#: Seconds in which a process has to renew its claims.
DEAD_AFTER = float(os.environ.get("FAULTS_DEAD_AFTER", "3"))

#: The same where few jobs leave it time to.
DEAD_SOON = DEAD_AFTER * 2 / 3

#: Seconds within which another process takes a lease over.
LEASE_TIMEOUT = float(os.environ.get("FAULTS_LEASE_TIMEOUT", "4"))

#: How often the holder of a lease is killed; stands still; is cut off, or loses its database.
LEASE_KILLS = int(os.environ.get("FAULTS_LEASE_KILLS", "3"))
LEASE_PAUSES = LOSSES = max(1, LEASE_KILLS // 5)

#: Seconds in which this many jobs and faults are over on a slow machine.
LONG = 90.0 + JOBS / 100 + KILLS * 10


def share(part: float) -> int:
    """This part of the jobs."""
    return max(1, int(JOBS * part))


#: Whether the suite runs on SQLite.
ON_SQLITE = os.environ.get("DATABASE_URL", "sqlite:").startswith("sqlite:")

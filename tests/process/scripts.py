"""Small programs in processes of their own."""

import subprocess
import sys
import textwrap

from tests.processes import PATIENCE, ROOT


def run(script: str) -> subprocess.CompletedProcess[str]:
    """Run it to its end."""
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )

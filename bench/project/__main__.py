"""The project's manage.py: `python -m bench.project runworker`."""

from __future__ import annotations

import os
import sys

from django.core.management import execute_from_command_line

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "bench.project.settings")
execute_from_command_line(["manage.py", *sys.argv[1:]])

"""Enqueue calls of one task: TASK FIRST COUNT, as in `note 0 1000`.

Each job gets the next number and what ARGUMENTS has, a JSON list. `--batch` jobs share a
transaction; with `--every` each is enqueued by itself, so many seconds after the one before.
`--after` is in how many seconds they are due. CLOCK_SHIFT is as for `program`.
"""

import argparse
import json
import os
import threading

from tests.faults.program import shift_clock


def main() -> None:
    options = parsed()
    if shift := float(os.environ.get("CLOCK_SHIFT", "0")):
        shift_clock(shift)
    import django

    django.setup()
    from datetime import timedelta

    from django.db import transaction
    from django.utils import timezone

    from tests.faults import tasks

    task = getattr(tasks, options.task)
    if options.after:
        task = task.using(run_after=timezone.now() + timedelta(seconds=options.after))
    last = options.first + options.count
    if options.every:
        pause = threading.Event()
        for number in range(options.first, last):
            task.enqueue(number, *options.arguments)
            pause.wait(options.every)
        return
    for begin in range(options.first, last, options.batch):
        with transaction.atomic():
            for number in range(begin, min(begin + options.batch, last)):
                task.enqueue(number, *options.arguments)


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("task")
    parser.add_argument("first", type=int)
    parser.add_argument("count", type=int)
    parser.add_argument("--arguments", type=json.loads, default=[])
    parser.add_argument("--batch", type=int, default=250)
    parser.add_argument("--every", type=float, default=0)
    parser.add_argument("--after", type=float, default=0)
    return parser.parse_args()


if __name__ == "__main__":
    main()

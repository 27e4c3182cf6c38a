"""How large the arguments of a job may be."""

from __future__ import annotations

import json

from hosting.exceptions import ArgumentError
from hosting.queues.stores.codec import decode_dict, decode_list

#: The default of MAX_ARGUMENTS_BYTES: rows are read in batches, so large values belong elsewhere.
MAX_ARGUMENTS_BYTES = 1_000_000


def require_size(task_path: str, args: str, kwargs: str, limit: int = MAX_ARGUMENTS_BYTES) -> None:
    """Raise `ArgumentError` naming the largest argument if there are more than `limit` bytes.

    The JSON texts are those of `encode_arguments`, which are ASCII: a character is a byte.
    """
    size = len(args) + len(kwargs)
    if size <= limit:
        return
    sizes = {str(place): len(json.dumps(v)) for place, v in enumerate(decode_list(args), 1)}
    sizes |= {repr(name): len(json.dumps(v)) for name, v in decode_dict(kwargs).items()}
    largest = max(sizes, key=lambda name: sizes[name])
    raise ArgumentError(
        f"The arguments of {task_path} have {size} bytes as JSON, allowed: {limit} "
        f"(MAX_ARGUMENTS_BYTES); the largest is argument {largest} with {sizes[largest]}."
    )

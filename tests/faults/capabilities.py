"""What the worker can do, so that a test waits for what is still to come."""

import inspect
import pkgutil
import re
from importlib import import_module

import hosting.queues


def honours_atomic() -> bool:
    """Whether a job declared `atomic` is executed in one transaction with its completion."""
    return _mentions(r"\bis_atomic\b|\.atomic\b(?!\()|transaction\.atomic")


def counts_deaths() -> bool:
    """Whether a worker says when it begins a job that may have killed another."""
    return _mentions(r"upkeep\.begin\(|\.begin\((job|claim)\b|\.deaths\b")


def _mentions(pattern: str) -> bool:
    names = [each.name for each in pkgutil.iter_modules(hosting.queues.__path__) if not each.ispkg]
    modules = (import_module(f"hosting.queues.{name}") for name in names)
    return any(re.search(pattern, inspect.getsource(module)) for module in modules)

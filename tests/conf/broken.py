"""A module that cannot be imported."""

raise RuntimeError("half a module")

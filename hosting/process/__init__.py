"""The edge to the operating system: which process hosts, how it is told to stop, how it ends."""

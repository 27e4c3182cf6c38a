"""What the options of a task do when a worker executes its jobs."""

"""The SQL of the stores that write their own."""

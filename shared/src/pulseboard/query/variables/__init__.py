"""Variables: their queries, the values that these have, and what is chosen."""

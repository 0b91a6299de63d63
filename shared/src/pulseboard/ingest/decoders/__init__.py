"""Foreign protocols: each a pure function from bytes to a batch."""

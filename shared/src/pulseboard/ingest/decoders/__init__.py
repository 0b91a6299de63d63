"""One module per protocol, each a pure function from bytes to a batch."""

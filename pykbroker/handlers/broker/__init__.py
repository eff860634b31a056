"""APIs that a broker executes itself: one module per API, imported by dispatch when its first request comes."""

"""Which HTTP call is this client method? Knows nothing of how instances are stored."""

"""Given a history, what does the orchestrator decide? No clock, no I/O, no logging of values."""

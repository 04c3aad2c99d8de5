"""The host's side of the process border: worker processes and what they are asked to do."""

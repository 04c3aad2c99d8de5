"""Timer functions: which there are, when they are due, running them."""

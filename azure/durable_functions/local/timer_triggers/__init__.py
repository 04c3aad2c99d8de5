"""Timer functions: finds them, reads their schedules and runs them."""

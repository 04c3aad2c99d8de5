"""*What* happens in a turn; knows no task, no loop, no limit on how many."""

"""*When* turns and activities run; knows no history and no answer."""

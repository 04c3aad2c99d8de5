"""How things are spelled at the border with the extension. Knows nothing else of ours."""

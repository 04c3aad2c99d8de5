"""What is true about this instance right now? The only room that knows SQL."""

"""Given a batch, what does the entity answer? No I/O."""

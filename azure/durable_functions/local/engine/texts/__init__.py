"""The JSON of the engine: history events, failures, requests to entities, answers."""

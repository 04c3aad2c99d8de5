"""Answers HTTP requests. HTTP statuses live here, SQL does not."""

"""Plays the Functions host and the Durable Task extension on one machine; extra ``[local]``."""

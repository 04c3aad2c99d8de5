"""Helpers for testing durable functions."""

from .generator import orchestrator_generator_wrapper

__all__ = ["orchestrator_generator_wrapper"]

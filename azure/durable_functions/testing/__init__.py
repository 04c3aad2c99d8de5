"""Helpers for testing durable functions."""

from azure.durable_functions import _aliases

from .generator import orchestrator_generator_wrapper

__all__ = ["orchestrator_generator_wrapper"]

_aliases.register_module("testing.OrchestratorGeneratorWrapper")

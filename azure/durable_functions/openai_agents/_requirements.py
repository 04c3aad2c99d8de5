"""What this package needs of others, in words. Imports none of them."""

from __future__ import annotations

import importlib.metadata

RANGES = {
    "openai-agents": ">=0.2.4,<0.25",
    "openai": ">=1.98",
    "pydantic": ">=2.10",
}
"""Tried at both ends; the same as the extra ``[openai]`` says."""


def explanation(error: ImportError) -> str:
    """Why the integration cannot be imported, and what to do."""
    found = ", ".join(f"{name} {version_of(name) or 'is missing'}" for name in RANGES)
    wanted = ", ".join(f"{name}{versions}" for name, versions in RANGES.items())
    return (
        f"azure.durable_functions.openai_agents cannot be imported: {error}. It needs {wanted}; "
        f"here {found}. Install azure-functions-durable with its extra [openai]"
    )


def version_of(name: str) -> str | None:
    """Version of an installed distribution; None if there is none."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None

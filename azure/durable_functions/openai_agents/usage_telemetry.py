"""One line that tells the Functions host which versions work together. Source: 9."""

from __future__ import annotations

import importlib.metadata


class UsageTelemetry:
    """Tells of the integration once a process."""

    _usage_logged = False

    @classmethod
    def log_usage_once(cls) -> None:
        """Print the line; the host knows it by its prefix."""
        if cls._usage_logged:
            return
        cls._usage_logged = True
        try:
            versions = cls._collect_openai_agent_package_versions()
        except Exception:  # a line for statistics must not stop an orchestration
            versions = "(unavailable)"
        print(
            "LanguageWorkerConsoleLogDetected OpenAI Agents SDK integration with Durable Functions."
            f" Package versions: {versions}"
        )

    @classmethod
    def _collect_openai_agent_package_versions(cls) -> str:
        return ", ".join(
            f"{name}={_version_of(name)}"
            for name in ("azure-functions-durable", "openai", "openai-agents")
        )


def _version_of(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except Exception:  # whatever broken metadata raise
        return "(not installed)"

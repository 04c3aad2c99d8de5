"""Trace headers of client calls; none without opentelemetry. Source: sdk.md 5.7, Q6."""

from __future__ import annotations

import functools
import importlib
from typing import Any


@functools.cache  # looking for what is not there takes longer than sending a request
def propagator_class() -> Any:
    """Opentelemetry's propagator, or None where the library is not installed.

    It is optional and slow to import; only apps that trace have it.
    """
    try:
        tracecontext: Any = importlib.import_module("opentelemetry.trace.propagation.tracecontext")
    except ImportError:
        return None
    return tracecontext.TraceContextTextMapPropagator


def trace_headers(replaced: Any = None) -> tuple[str | None, str | None]:
    """``traceparent`` and ``tracestate`` of the active span; None where there is none.

    Args:
        replaced: A propagator in the place of opentelemetry's.
    """
    propagator = replaced or propagator_class()
    if propagator is None:
        return None, None
    carrier: dict[str, Any] = {}
    propagator().inject(carrier)
    return carrier.get("traceparent"), carrier.get("tracestate")

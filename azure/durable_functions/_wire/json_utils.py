"""Helpers that copy attributes into JSON objects; official names. Source: sdk.md 2.14."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from . import timestamps


def add_attrib(
    json_dict: dict[str, Any], object_: object, attribute_name: str, alt_name: str | None = None
) -> None:
    """Copy an attribute under ``alt_name or attribute_name``, if the object has it."""
    if hasattr(object_, attribute_name):
        json_dict[alt_name or attribute_name] = getattr(object_, attribute_name)


def add_datetime_attrib(
    json_dict: dict[str, Any], object_: object, attribute_name: str, alt_name: str | None = None
) -> None:
    """As `add_attrib`, for a moment: the wire's text with six fraction digits and ``Z``."""
    if hasattr(object_, attribute_name):
        moment = getattr(object_, attribute_name)
        json_dict[alt_name or attribute_name] = timestamps.format_moment(moment)


def add_json_attrib(
    json_dict: dict[str, Any], object_: object, attribute_name: str, alt_name: str | None = None
) -> None:
    """As `add_attrib`, for an object with ``to_json()``; left out when it is falsy."""
    value = getattr(object_, attribute_name, None)
    if value:
        json_dict[alt_name or attribute_name] = value.to_json()


def parse_timespan_attrib(from_str: str) -> timedelta:
    """Read a .NET time span.

    Raises:
        Exception: ``Format of TimeSpan failed``, in its subclass ``ValueError``.
    """
    return timestamps.parse_timespan(from_str)

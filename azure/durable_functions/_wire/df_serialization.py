"""The codec of payloads: azure-functions' own where it has one, else the same rules here.

The worker's converters decode activity inputs with azure-functions' codec, so the SDK must use
that very one (sdk.md 4.1); `df_dumps is azure.functions._durable_functions.df_dumps` holds. Its
way to make objects of payloads is put behind a guard, for its own converters too
(`payload_classes`).
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from azure.functions import (
    _durable_functions as _sdk,
)

if TYPE_CHECKING:

    def df_dumps(value: Any) -> str: ...

    def df_loads(s: str, expected_type: type | None = None) -> Any: ...

    def _get_serialize_default() -> Callable[[Any], Any] | None: ...  # pyright: ignore[reportUnusedFunction]  # others call it

    def _serialize_custom_object(obj: Any) -> dict[str, Any]: ...

    def _deserialize_custom_object(obj: dict[str, Any]) -> Any: ...


__all__ = ["df_dumps", "df_loads"]

logger = logging.getLogger("azure.durable_functions.models.utils.df_serialization")


def has_advised() -> bool:
    """Whether the codec need not be asked any more for its one word about expected types."""
    return getattr(_sdk, "_no_expected_type_notice_emitted", True)


_FALLBACK_MESSAGE = (
    "The installed azure-functions has no df_dumps/df_loads; azure-functions-durable uses its own "
    "codec of the same format. Expected types are not checked. Upgrade azure-functions for that."
)


def _guarded(original: Callable[[dict[str, Any]], Any]) -> Callable[[dict[str, Any]], Any]:
    def _deserialize_custom_object(obj: dict[str, Any]) -> Any:
        """Object of an envelope, if the payload may have that; any other dictionary as it is."""
        if "__class__" in obj:
            from . import payload_classes  # few payloads have objects

            if payload_classes.is_envelope(obj):
                payload_classes.class_of(obj)
        return original(obj)

    return _deserialize_custom_object


if not TYPE_CHECKING:
    _serialize_custom_object = _sdk._serialize_custom_object
    _deserialize_custom_object = _sdk._deserialize_custom_object
    if _deserialize_custom_object.__module__ != __name__:  # it is, when this is loaded anew
        _deserialize_custom_object = _guarded(_deserialize_custom_object)
        _sdk._deserialize_custom_object = _deserialize_custom_object
    _get_serialize_default = getattr(
        _sdk, "_get_serialize_default", lambda: _serialize_custom_object
    )

    if hasattr(_sdk, "df_dumps") and hasattr(_sdk, "df_loads"):
        df_dumps = _sdk.df_dumps
        df_loads = _sdk.df_loads
    else:
        _notice_given = False

        def _note_fallback() -> None:
            global _notice_given
            if not _notice_given:
                _notice_given = True
                logger.debug(_FALLBACK_MESSAGE)

        def df_dumps(value):
            """JSON text of a value; custom objects travel in their envelope (sdk.md 4.3)."""
            _note_fallback()
            return json.dumps(value, default=_serialize_custom_object)

        def df_loads(s, expected_type=None):
            """Value of a JSON text; `expected_type` is not looked at by this codec."""
            _note_fallback()
            return json.loads(s, object_hook=_deserialize_custom_object)

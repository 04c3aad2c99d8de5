"""An activity's exception in the structured form, where it needs that.

The worker sends an exception's class and text; so what is to be sent stands in an exception of the
class that the extension knows, which `handles.guarded` raises in the place of the user's.
"""

from __future__ import annotations

from typing import Any

from . import failure_details
from .failure_details import STRUCTURED


def structured(error: Exception) -> Exception | None:
    """What is raised in the place of an exception; None if that is to travel as it is.

    It is of the exception's own class too, so that whoever calls the activity sees that.
    """
    if type(error).__name__ == STRUCTURED or not failure_details.is_asked_for(error):
        return None
    text = failure_details.activity_text(failure_details.of_exception(error))
    made = _beside(error)
    made._df_text = text
    return made.with_traceback(error.__traceback__)  # type: ignore[no-any-return]


def _beside(error: Exception) -> Any:
    kind: type[Exception] = type(error)
    try:
        made: Any = kind.__new__(_joined(kind), *error.args)
        made.args = error.args
        made.__dict__.update(error.__dict__)
    except Exception:  # a class that cannot be derived from, or makes its objects otherwise
        return _joined(Exception)()
    return made


def _joined(kind: type[Exception]) -> type[Exception]:
    return type(STRUCTURED, (kind,), {"__module__": __name__, "__str__": _text_of})


def _text_of(made: Any) -> str:
    text: str = made._df_text
    return text

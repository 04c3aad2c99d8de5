"""Route templates of HTTP functions, with the rules of ASP.NET Core. Source: host.md 4.1."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import unquote

from azure.durable_functions._errors import DurableFunctionsError

_CONSTRAINT = re.compile(r":([a-zA-Z]+)(?:\(((?:[^()]|\([^()]*\))*)\))?")
_PARAMETER = re.compile(
    r"\{(\*{0,2})([^{}:=?*]+)"  # stars of a catch-all, name
    r"((?::[a-zA-Z]+(?:\((?:[^()]|\([^()]*\))*\))?)*)"  # constraints, as in _CONSTRAINT
    r"(\?|=[^{}]*)?\}"  # optional, or a default
)


class RouteError(DurableFunctionsError):
    """A route template cannot be used; the message says why."""


Check = Callable[[str], bool]


def _is_integer(bits: int) -> Check:
    limit = 1 << (bits - 1)

    def check(text: str) -> bool:
        return bool(re.fullmatch(r"[+-]?\d+", text)) and -limit <= int(text) < limit

    return check


def _is_number(text: str) -> bool:
    return bool(re.fullmatch(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?", text))


def _is_date(text: str) -> bool:
    from dateutil import parser as date_parser  # few routes have dates, and it is large

    try:
        date_parser.parse(text)
    except (ValueError, OverflowError):
        return False
    return True


def _is_guid(text: str) -> bool:
    try:
        uuid.UUID(text)
    except ValueError:
        return False
    return True


_PLAIN: Mapping[str, Check] = {
    "int": _is_integer(32),
    "long": _is_integer(64),
    "bool": lambda text: text.lower() in ("true", "false"),
    "float": _is_number,
    "double": _is_number,
    "decimal": _is_number,
    "datetime": _is_date,
    "guid": _is_guid,
    "alpha": lambda text: bool(re.fullmatch(r"[A-Za-z]+", text)),
    "required": lambda text: bool(text),
}


def _length(text: str) -> int:
    return len(text)


def _integer(text: str) -> int:
    return int(text)


def _bounds(arguments: str, template: str) -> list[int]:
    try:
        return [int(part) for part in arguments.split(",")]
    except ValueError:
        raise RouteError(
            f"the constraint ({arguments}) in {template!r} needs whole numbers"
        ) from None


def _constraint(name: str, arguments: str | None, template: str) -> Check:
    lower = name.lower()
    if arguments is None:
        if lower in _PLAIN:
            return _PLAIN[lower]
        raise RouteError(f"the constraint {name!r} in {template!r} is not known")
    if lower == "regex":
        try:
            pattern = re.compile(arguments.replace("\\\\", "\\"), re.IGNORECASE)
        except re.error as error:
            raise RouteError(f"the expression of {template!r} is not valid: {error}") from None
        return lambda text: pattern.search(text) is not None
    bounds = _bounds(arguments, template)
    measure = _length if "length" in lower else _integer
    low, high = bounds[0], bounds[-1]
    if lower in ("minlength", "min"):
        return _measured(measure, low, None)
    if lower in ("maxlength", "max"):
        return _measured(measure, None, high)
    if lower in ("length", "range"):
        return _measured(measure, low, high)
    raise RouteError(f"the constraint {name!r} in {template!r} is not known")


def _measured(measure: Callable[[str], int], low: int | None, high: int | None) -> Check:
    def check(text: str) -> bool:
        try:
            value = measure(text)
        except ValueError:
            return False
        return (low is None or value >= low) and (high is None or value <= high)

    return check


@dataclass(frozen=True)
class _Parameter:
    name: str
    checks: Sequence[Check]
    default: str | None
    is_optional: bool


def _literal(path: str) -> str:
    """Returns the path with everything decoded but slashes, which matter for routing."""
    return unquote(path.replace("%2F", "%252F").replace("%2f", "%252F"))


class Route:
    """A compiled template."""

    def __init__(self, template: str) -> None:
        """Compiles a template.

        Raises:
            RouteError: It is malformed.
        """
        self.template = template
        self._parameters: list[_Parameter] = []
        self._pattern = re.compile(self._compile(template.strip("/")), re.IGNORECASE)

    def match(self, path: str) -> dict[str, str] | None:
        """Returns the decoded parameters of a percent-encoded path; None if it does not match."""
        found = self._pattern.fullmatch(_literal(path.strip("/")))
        if found is None:
            return None
        values: dict[str, str] = {}
        for index, parameter in enumerate(self._parameters):
            raw = found[f"p{index}"]
            given = None if not raw else raw.replace("%2F", "/")
            text = parameter.default if given is None else given
            if text is None:
                if raw is None or parameter.is_optional:
                    continue
                text = ""
            if any(not check(text) for check in parameter.checks):
                return None
            values[parameter.name] = text
        return values

    def _compile(self, template: str) -> str:
        pattern = ""
        segments = template.split("/") if template else []
        for position, segment in enumerate(_rejoin(segments)):
            compiled, can_be_missing = self._segment(segment)
            separator = "/" if position else ""
            pattern += f"(?:{separator}{compiled})?" if can_be_missing else separator + compiled
        return pattern

    def _segment(self, segment: str) -> tuple[str, bool]:
        compiled = ""
        end = 0
        can_be_missing = False
        for found in _PARAMETER.finditer(segment):
            compiled += re.escape(segment[end : found.start()])
            stars, name, constraints, suffix = found.groups()
            index = len(self._parameters)
            checks = self._checks(constraints)
            default = suffix[1:] if suffix and suffix.startswith("=") else None
            optional = suffix == "?" or default is not None
            self._parameters.append(
                _Parameter(name.strip(), checks, default, optional or bool(stars))
            )
            whole = found.start() == 0 and found.end() == len(segment)
            compiled += f"(?P<p{index}>{'.*' if stars else '[^/]+?' if not whole else '[^/]+'})"
            can_be_missing = can_be_missing or (whole and (optional or bool(stars)))
            end = found.end()
        rest = segment[end:]
        if "{" in rest or "}" in rest:
            raise RouteError(f"the braces of the route {self.template!r} do not match")
        return compiled + re.escape(rest), can_be_missing

    def _checks(self, constraints: str) -> list[Check]:
        checks: list[Check] = []
        end = 0
        for found in _CONSTRAINT.finditer(constraints):
            if found.start() != end:
                break
            checks.append(_constraint(found[1], found[2], self.template))
            end = found.end()
        if end != len(constraints):
            raise RouteError(f"the constraints {constraints!r} of {self.template!r} are not valid")
        return checks


def _rejoin(segments: Sequence[str]) -> list[str]:
    """Joins segments that were split at a slash inside braces, as in ``{x:regex(a/b)}``."""
    joined: list[str] = []
    for segment in segments:
        if joined and joined[-1].count("{") > joined[-1].count("}"):
            joined[-1] += "/" + segment
        else:
            joined.append(segment)
    return joined

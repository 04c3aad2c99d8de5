"""Habits that hurt orchestrators and entities, found in their source before they run.

Only what is plain to see counts: names are looked up in the function's own module.
"""

from __future__ import annotations

import ast
import inspect
import textwrap
import time
from collections.abc import Callable
from typing import Any

_CHANGING = (
    *("append", "add", "update", "extend", "insert", "remove", "discard", "pop", "popitem"),
    *("clear", "setdefault", "sort", "reverse"),
)
_LOST = (
    "each replay changes it again, and it is lost with its worker: keep it in a local variable, "
    "the input, the custom status or an entity"
)


def advice(function: Any) -> list[str]:
    """A sentence with file and line for each habit of an orchestrator or entity function.

    Args:
        function: As it was decorated or is called; none of whose source is there gets no advice.
    """
    users = _users(function)
    try:
        lines, first = inspect.getsourcelines(users)
        tree = ast.parse(textwrap.dedent("".join(lines)))
    except (OSError, TypeError, SyntaxError, ValueError):
        return []  # made at run time, or in an interpreter's prompt
    file = inspect.getsourcefile(users) or "<unknown>"
    looked = _Look(users)
    looked.visit(tree.body[0])
    return [f"{text} ({file}, line {first + line - 1})" for line, text in looked.found]


def _users(function: Any) -> Any:
    for name in ("orchestrator_function", "entity_function"):
        function = getattr(function, name, function)
    return inspect.unwrap(function) if callable(function) else function


class _Look(ast.NodeVisitor):
    def __init__(self, function: Callable[..., Any]) -> None:
        self.found: list[tuple[int, str]] = []
        self._globals: dict[str, Any] = getattr(function, "__globals__", {})
        code = getattr(function, "__code__", None)
        self._locals = set(code.co_varnames + code.co_cellvars) if code is not None else set[str]()

    def visit_Global(self, node: ast.Global) -> None:
        for name in node.names:
            self._note(node, f"the module's variable {name!r} is changed; {_LOST}")

    def visit_Subscript(self, node: ast.Subscript) -> None:
        if isinstance(node.ctx, (ast.Store, ast.Del)) and self._is_state(node.value):
            name = ast.unparse(node.value)
            self._note(node, f"the module's variable {name!r} is changed; {_LOST}")
        self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        called = self._value(node.func)
        if called is time.sleep:
            self._note(
                node,
                "time.sleep keeps a worker busy and is repeated by each replay: wait for "
                "context.create_timer(timedelta(...)) instead",
            )
        method = node.func
        if (
            isinstance(method, ast.Attribute)
            and method.attr in _CHANGING
            and self._is_state(method.value)
        ):
            name = ast.unparse(method.value)
            self._note(node, f"the module's variable {name!r} is changed; {_LOST}")
        self.generic_visit(node)

    def visit_Expr(self, node: ast.Expr) -> None:
        if isinstance(node.value, ast.Call):
            called = self._value(node.value.func)
            name = ast.unparse(node.value.func)
            if inspect.isgeneratorfunction(called):
                text = f"{name} is a generator and does not run: write 'yield from' in front of it"
                self._note(node, text)
            elif inspect.iscoroutinefunction(called):
                text = f"{name} is a coroutine and does not run: write 'await' in front of it"
                self._note(node, text)
        self.generic_visit(node)

    def _value(self, node: ast.expr) -> Any:
        """What a name, or an attribute of a module, stands for; None where that is not plain."""
        if isinstance(node, ast.Name) and node.id not in self._locals:
            return self._globals.get(node.id)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            owner = self._value(node.value)
            return vars(owner).get(node.attr) if inspect.ismodule(owner) else None
        return None

    def _is_state(self, node: ast.expr) -> bool:
        return isinstance(node, ast.Name) and isinstance(self._value(node), (list, dict, set))

    def _note(self, node: ast.stmt | ast.expr, text: str) -> None:
        self.found.append((node.lineno, text))

"""What keeps the package readable: short functions, small files and classes, no import cycles."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import azure.durable_functions as df

PACKAGE = Path(df.__file__).parent
ROOT = "azure.durable_functions"
FILES = sorted(PACKAGE.rglob("*.py"))
MOST_LINES_OF_A_FUNCTION = 60
MOST_LINES_OF_A_MODULE = 500
MOST_METHODS = 25

LONG_MODULES = {
    "_replay/context.py": "the official face of an orchestration: one class, most of it docstrings",
    "_client/client.py": "the official face of a client: one class, most of it docstrings",
    "_replay/executor.py": "an official class whose fast loops and slow steps stand side by side",
    "_replay/tasks.py": "official classes that know each other's insides; still to be parted",
    "testing/_host.py": "still to be parted",
}
LONG_FUNCTIONS = {
    "local/store/schema.py": "SQL",
    "_replay/executor.py": "a fast loop: each call would cost what it saves",
    "_replay/tasks.py": "the constructor of compounds, measured as it stands",
    "_replay/context.py": "the official constructor",
}
LARGE_CLASSES = {
    "DurableOrchestrationContext": "official shape",
    "DurableOrchestrationClient": "official shape",
    "SyncDurableOrchestrationClient": "the same with methods that block",
    "TaskOrchestrationExecutor": "official shape",
    "DurableTestHost": "still to be parted",
}
CIRCLES = (
    "_replay.",  # official classes: a context makes tasks, which list their actions in it
    "openai_agents.",  # still to be opened, as the next one
    "testing.",
)
"""Beginnings of the modules that may know each other in a circle."""


def name_of(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


def trees() -> Iterator[tuple[str, ast.Module]]:
    for path in FILES:
        yield name_of(path), ast.parse(path.read_text())


def lines_of(node: ast.AST) -> int:
    assert isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
    return (node.end_lineno or 0) - node.lineno + 1


def test_no_function_is_longer_than_a_screen() -> None:
    long = {
        f"{name}: {node.name} has {lines_of(node)} lines"
        for name, tree in trees()
        if name not in LONG_FUNCTIONS
        for node in ast.walk(tree)
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
        and lines_of(node) > MOST_LINES_OF_A_FUNCTION
    }

    assert long == set()


def test_no_module_is_longer_than_500_lines() -> None:
    long = {
        f"{name_of(path)} has {count} lines"
        for path in FILES
        if (count := len(path.read_text().splitlines())) > MOST_LINES_OF_A_MODULE
        and name_of(path) not in LONG_MODULES
    }

    assert long == set()


def test_no_class_has_more_than_25_methods() -> None:
    large = {
        f"{name}: {node.name} has {len(methods)} methods"
        for name, tree in trees()
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef) and node.name not in LARGE_CLASSES
        if len(methods := methods_of(node)) > MOST_METHODS
    }

    assert large == set()


def methods_of(node: ast.ClassDef) -> set[str]:
    return {
        item.name for item in node.body if isinstance(item, (ast.FunctionDef, ast.AsyncFunctionDef))
    }


def imports_of(path: Path, known: set[str]) -> set[str]:
    """Modules of ours that a file imports, wherever it does, as paths below the package."""
    found: set[str] = set()
    package = [ROOT, *path.relative_to(PACKAGE).parts[:-1]]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(package[: len(package) - node.level + 1]) if node.level else ""
            module = ".".join(filter(None, (base, node.module)))
            found.add(module)
            found |= {f"{module}.{alias.name}" for alias in node.names}
    return found & known


def module_of(path: Path) -> str:
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join((ROOT, *(parts[:-1] if parts[-1] == "__init__" else parts)))


def is_address(path: Path) -> bool:
    """Official addresses hold no code: what they re-export is imported when somebody asks."""
    return name_of(path).startswith("models/") or path.name == "__init__.py"


def cycles(graph: dict[str, set[str]]) -> Iterator[frozenset[str]]:
    """Sets of modules that reach each other (Tarjan's strongly connected components)."""
    order: dict[str, int] = {}
    lowest: dict[str, int] = {}
    stack: list[str] = []

    def visit(module: str) -> Iterator[frozenset[str]]:
        order[module] = lowest[module] = len(order)
        stack.append(module)
        for other in sorted(graph[module]):
            if other not in order:
                yield from visit(other)
                lowest[module] = min(lowest[module], lowest[other])
            elif other in stack:
                lowest[module] = min(lowest[module], order[other])
        if lowest[module] == order[module]:
            component = stack[stack.index(module) :]
            del stack[stack.index(module) :]
            if len(component) > 1:
                yield frozenset(component)

    for module in sorted(graph):
        if module not in order:
            yield from visit(module)


def test_no_modules_import_each_other_in_a_circle_not_even_for_types() -> None:
    homes = {module_of(path): path for path in FILES if not is_address(path)}
    graph = {module: imports_of(path, set(homes)) for module, path in homes.items()}

    found = [sorted(module.removeprefix(f"{ROOT}.") for module in each) for each in cycles(graph)]

    assert [each for each in found if not each[0].startswith(CIRCLES)] == []

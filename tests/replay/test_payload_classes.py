"""A payload may ask for an object; which it gets, and that it imports nothing."""

from __future__ import annotations

import json
import sys
import types
from pathlib import Path
from typing import Any

import pytest
from azure.functions import durable_functions as converters
from azure.functions import meta

from azure.durable_functions._wire import payload_classes, payloads

GADGET = """
class Gadget:
    def __init__(self, data):
        self.data = data

    @staticmethod
    def to_json(gadget):
        return gadget.data

    @staticmethod
    def from_json(data):
        return Gadget(data)
"""


class Order:
    def __init__(self, data: Any) -> None:
        self.data = data

    @staticmethod
    def to_json(order: Order) -> Any:
        return order.data

    @classmethod
    def from_json(cls, data: Any) -> Order:
        return cls(data)


class Rush(Order):
    pass


class Session:
    @staticmethod
    def from_json(data: Any) -> Session:
        return Session()


def text_of(class_name: str, module: str = __name__, data: Any = 1) -> str:
    return json.dumps({"__class__": class_name, "__module__": module, "__data__": data})


@pytest.fixture
def gadget(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A module that could be imported, and is not."""
    (tmp_path / "a_gadget.py").write_text(GADGET)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "a_gadget", raising=False)
    return "a_gadget"


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    """A package of somebody else's that is loaded."""
    module = types.ModuleType("others_package")
    module.__file__ = str(tmp_path / "site-packages" / "others_package.py")
    exec(GADGET, module.__dict__)
    monkeypatch.setitem(sys.modules, "others_package", module)
    return module


def test_no_payload_imports_its_module(gadget: str) -> None:
    with pytest.raises(ValueError, match="is not loaded"):
        payloads.decode(text_of("Gadget", gadget))
    assert gadget not in sys.modules


def test_an_activity_s_input_imports_nothing_either(gadget: str) -> None:
    datum = meta.Datum(text_of("Gadget", gadget), "json")
    with pytest.raises(ValueError, match="activity trigger input"):
        converters.ActivityTriggerConverter.decode(datum, trigger_metadata={})
    assert gadget not in sys.modules


def test_the_switch_for_old_defects_changes_nothing(
    gadget: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AZURE_FUNCTIONS_DURABLE_COMPAT", "1.7.0")
    with pytest.raises(ValueError, match="is not loaded"):
        payloads.decode(text_of("Gadget", gadget))


def test_who_opts_in_imports(gadget: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(payload_classes.VARIABLE, "1")
    assert payloads.decode(text_of("Gadget", gadget, "x")).data == "x"


def test_a_lazy_module_is_not_asked_for_its_names(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    lazy = types.ModuleType("lazy_of_the_app")
    lazy.__getattr__ = asked.append  # type: ignore[method-assign]
    monkeypatch.setitem(sys.modules, "lazy_of_the_app", lazy)
    asked.clear()
    with pytest.raises(AttributeError, match="not found"):
        payloads.decode(text_of("Later", "lazy_of_the_app"))
    assert asked.count("Later") == 0


def test_a_class_that_the_app_does_not_name_is_refused(installed: types.ModuleType) -> None:
    with pytest.raises(ValueError, match="neither defines nor names"):
        payloads.decode(text_of("Gadget", installed.__name__))


def test_a_class_whose_package_the_app_imports_is_taken(
    installed: types.ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.modules[__name__], "others_package", installed, raising=False)
    monkeypatch.setattr(installed.Gadget, "__module__", installed.__name__)
    assert payloads.decode(text_of("Gadget", installed.__name__, "x")).data == "x"


@pytest.mark.parametrize("expected", [dict, str, int, list, list[Order], Order, Order | None])
def test_an_expected_type_lets_no_other_class_in(expected: Any) -> None:
    with pytest.raises(TypeError, match="declares class"):
        payloads.decode(text_of("Session"), expected)


@pytest.mark.parametrize("expected", [Order, Order | None, int | Order, Any, object])
@pytest.mark.parametrize("name", ["Order", "Rush"])
def test_an_expected_type_lets_itself_and_what_is_one_in(expected: Any, name: str) -> None:
    assert type(payloads.decode(text_of(name), expected)).__name__ == name


def test_an_escape_does_not_hide_the_key() -> None:
    hidden = text_of("Session").replace("__class__", "\\u005f_class__")
    with pytest.raises(TypeError, match="declares class"):
        payloads.decode(hidden, dict)

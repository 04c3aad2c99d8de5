"""host.json and local.settings.json: every setting is honoured, or named as having no effect."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from azure.durable_functions._errors import SettingsError
from azure.durable_functions.local.config.host_json import HostJson, read_host_json
from azure.durable_functions.local.config.local_settings import app_environment, read_local_settings
from azure.durable_functions.local.watcher import Change, Watched, difference, look
from azure.durable_functions.local.worker import app_settings


def read(root: Path, content: dict[str, Any], **environment: str) -> HostJson:
    (root / "host.json").write_text(json.dumps({"version": "2.0", **content}))
    return read_host_json(root, environment)


def test_settings_without_effect_are_named_in_one_line_and_unknown_ones_in_another(
    tmp_path: Path,
) -> None:
    content = {
        "healthMonitor": {"enabled": True},
        "logging": {"console": {"isEnabled": True}},
        "extensions": {
            "durableTask": {
                "storageProvider": {"type": "mssql", "partitionCount": 3},
                "maxConcurrentActivityFunctions": 4,
                "maxConcurentEntityFunctions": 4,
            }
        },
    }
    found = read(tmp_path, content)

    assert found.hub.max_activities == 4
    storage, without_effect, unknown = found.notes
    assert "mssql" in storage
    for name in ("healthMonitor.enabled", "logging.console", "partitionCount"):
        assert name in without_effect
    assert unknown.endswith(": extensions.durableTask.maxConcurentEntityFunctions")


def test_a_plain_host_json_is_no_news(tmp_path: Path) -> None:
    assert read(tmp_path, {}).notes == ()


def test_levels_lists_and_limits_are_read(tmp_path: Path) -> None:
    content = {
        "functions": ["A", "B"],
        "logging": {"logLevel": {"default": "warning", "Function.A": "None"}},
        "watchDirectories": ["more"],
        "extensions": {"http": {"maxConcurrentRequests": -1, "maxOutstandingRequests": 9}},
    }
    found = read(tmp_path, content)

    assert found.functions == ("A", "B")
    assert found.log_levels == {"default": 30, "Function.A": 60}
    assert found.watch_directories == ("more",)
    assert (found.max_concurrent_requests, found.max_outstanding_requests) == (None, 9)


def test_environment_variables_override_single_keys(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        {"extensions": {"http": {"routePrefix": "api"}}},
        **{
            "AzureFunctionsJobHost__Extensions__http__routePrefix": "",
            "AzureFunctionsJobHost__functions__0": "Only",
            "AzureFunctionsJobHost:logging:logLevel:default": "Error",
        },
    )
    assert (found.route_prefix, found.functions, found.log_levels) == (
        *("", ("Only",), {"default": 40}),
    )


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ({"functions": "A"}, "functions must be a list of texts"),
        ({"logging": {"logLevel": {"default": "loud"}}}, "logging.logLevel.default must be"),
        ({"extensions": {"http": {"maxConcurrentRequests": "x"}}}, "must be a whole number"),
        ({"functionTimeout": "5 min"}, 'functionTimeout must be "hh:mm:ss"'),
    ],
)
def test_what_is_not_valid_is_told_with_file_key_and_rule(
    tmp_path: Path, content: dict[str, Any], told: str
) -> None:
    with pytest.raises(SettingsError, match=told.replace("(", r"\(")) as refused:
        read(tmp_path, content)
    assert str(tmp_path / "host.json") in str(refused.value)


def test_local_settings_become_the_environment_unless_it_has_them(tmp_path: Path) -> None:
    content = {
        "Values": {"A": "file", "B": True, "C": None, "D__E": "nested"},
        "ConnectionStrings": {"Sql": {"ConnectionString": "server"}},
    }
    (tmp_path / "local.settings.json").write_text(json.dumps(content))
    environment, notes = app_environment(read_local_settings(tmp_path), {"A": "inherited"})

    assert (environment["A"], environment["B"]) == ("inherited", "True")
    assert "C" not in environment
    assert notes == [
        "Skipping 'A' from local settings as it's already defined in current environment variables."
    ]
    assert app_settings.lookup(environment, "D:E") == "nested"
    assert app_settings.lookup(environment, "ConnectionStrings__Sql") == "server"


@pytest.mark.parametrize(
    ("settings", "flag", "expected"),
    [
        ({}, None, False),
        ({}, True, True),
        ({"AzureWebJobs.F.Disabled": "1"}, None, True),
        ({"AzureWebJobs_F_Disabled": "TRUE"}, None, True),
        ({"AzureWebJobs.F.Disabled": "false"}, True, False),
        ({"SWITCH": "true"}, "SWITCH", True),
        ({"SWITCH": "no"}, "SWITCH", False),
    ],
)
def test_functions_are_switched_off_by_setting_or_flag(
    settings: dict[str, str], flag: object, expected: bool
) -> None:
    assert app_settings.is_disabled(settings, "F", flag) is expected


def test_the_watcher_sees_code_and_settings_and_nothing_else(tmp_path: Path) -> None:
    for folder in (".git", "__pycache__", ".venv", "env2", "pkg/inner", "data"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "env2" / "pyvenv.cfg").touch()
    watched = Watched(tmp_path, directories=("data",), files=("words.txt",))
    before = look(watched)

    def change(path: str) -> Change:
        file = tmp_path / path
        file.write_text("x")
        found = difference(before, look(watched), tmp_path)
        file.unlink()
        return found

    for path in ("a.py", "pkg/inner/b.py", "pkg/function.json", "data/any", "pkg/words.txt"):
        assert change(path) is Change.CODE, path
    for path in (".git/c.py", "__pycache__/d.py", "env2/e.py", "notes", "pkg/inner/function.json"):
        assert change(path) is Change.NOTHING, path
    assert change("host.json") is Change.SETTINGS


def test_the_watcher_follows_no_links_to_folders(tmp_path: Path) -> None:
    (tmp_path / "a.py").touch()
    for name in ("loop", "other_loop"):
        (tmp_path / name).symlink_to(tmp_path, target_is_directory=True)
    assert list(look(Watched(tmp_path))) == [str(tmp_path / "a.py")]


def test_early_timers_are_asked_for(tmp_path: Path) -> None:
    content = {"extensions": {"durableTask": {"earlyTimers": True}}}
    found = read(tmp_path, content)

    assert found.notes == ()
    assert found.hub.limits.early_timers
    assert not read(tmp_path, {}).hub.limits.early_timers

"""What importing the package does in an app folder (sdk.md 1.6, Q1-Q7)."""

from __future__ import annotations

import importlib
import importlib.util
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

import azure.durable_functions as df
from azure.durable_functions import _startup


def import_in(folder: Path, *, environment: dict[str, str] | None = None) -> str:
    """What an import in a folder writes to its error output."""
    ended = subprocess.run(
        [sys.executable, "-c", "import azure.durable_functions"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
        env=environment,
    )
    return ended.stderr


BUNDLE = '{"version": "2.0", "extensionBundle": {"id": "x", "version": "[1.*, 2.0.0)"}}'


@pytest.mark.parametrize(
    "content",
    ["", "{", "\ufeff{}", '{"version": "2.0" /* noted */} // so', "[]"],
    ids=["empty", "broken", "byte order mark", "comments", "array"],
)
def test_no_host_json_makes_the_import_fail(tmp_path: Path, content: str) -> None:
    """sdk.md Q2."""
    (tmp_path / "host.json").write_text(content, "utf-8")

    assert import_in(tmp_path) == ""


@pytest.mark.parametrize(
    "content",
    [BUNDLE, f"\ufeff{BUNDLE}", f"// a comment\n{BUNDLE}"],
    ids=["plain", "byte order mark", "comment"],
)
def test_an_old_bundle_range_warns(tmp_path: Path, content: str) -> None:
    (tmp_path / "host.json").write_text(content, "utf-8")

    printed = import_in(tmp_path)

    assert "UserWarning" in printed
    assert "[2.*, 3.0.0)" in printed


def test_function_json_folders_warn_unless_release_2_is_kept_out(tmp_path: Path) -> None:
    (tmp_path / "host.json").write_text("{}")
    (tmp_path / "Function").mkdir()
    (tmp_path / "Function" / "function.json").write_text("{}")

    printed = import_in(tmp_path)
    (tmp_path / "requirements.txt").write_text("azure-functions-durable<2\n")

    assert "legacy Python v1 programming model" in printed
    assert "azure-functions-durable<2" in printed
    assert import_in(tmp_path) == ""


@pytest.mark.parametrize(
    "line",
    [
        "azure-functions-durable<2",
        "./wheels/azure_functions_durable-1.8.0-py3-none-any.whl",
        "azure-functions-durable>=1.2,<2",
        "azure-functions-durable==1.6.0",
        "azure-functions-durable==1.*",
        "azure-functions-durable~=1.6",
        "azure-functions-durable<2.0.0rc1",
        "azure-functions-durable[x]<2",
        "azure-functions-durable==1.7.0 --hash=sha256:abc",
        "Azure.Functions_Durable >= 1.2, < 2  # note",
    ],
)
def test_requirements_that_keep_release_2_out(line: str) -> None:
    assert any(map(_startup.excludes_v2, _startup.requirement_lines(line)))


@pytest.mark.parametrize(
    "line",
    [
        "azure-functions-durable",
        "azure-functions-durable>=1.2",
        "azure-functions-durable<2.1",
        "azure-functions-durable<2.0.1",
        "azure-functions-durable<=2",
        "azure-functions-durable==2.*",
        "azure-functions-durable~=2.0",
        "azure-functions-durable!=2.0",
        "azure-functions-durable<2; python_version < '3.11'",
        "-r other.txt",
        "another-package<2",
    ],
)
def test_requirements_that_do_not(line: str) -> None:
    assert not any(map(_startup.excludes_v2, _startup.requirement_lines(line)))


def test_the_checks_are_looked_up_when_they_run(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "host.json").write_text("{}")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("AzureWebJobsScriptRoot", raising=False)
    monkeypatch.setattr(df, "_uses_v1_programming_model", lambda app_root: True)

    with pytest.warns(df.DurableFunctionsCompatibilityWarning):
        df.validate_v1_programming_model()


def test_reloading_in_a_clean_folder_warns_of_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("AzureWebJobsScriptRoot", raising=False)
    before = df.DurableFunctionsCompatibilityWarning

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        importlib.reload(df)

    assert df.DurableFunctionsCompatibilityWarning is before


def test_the_public_names_are_the_official_ones() -> None:
    assert df.__all__ == [
        "Orchestrator",
        "Entity",
        "EntityId",
        "DurableOrchestrationClient",
        "DurableEntityContext",
        "DurableOrchestrationContext",
        "DurableFunctionsCompatibilityWarning",
        "ManagedIdentityTokenSource",
        "OrchestrationRuntimeStatus",
        "RetryOptions",
        "DFApp",
        "Blueprint",
        *(["openai_agents"] if importlib.util.find_spec("agents") else []),
    ]


@pytest.mark.parametrize("name", ["agents", "openai", "pydantic"])
def test_a_stand_in_for_an_optional_library_does_not_stop_the_import(name: str) -> None:
    code = (
        "import sys, unittest.mock\n"
        f"sys.modules[{name!r}] = unittest.mock.MagicMock()\n"
        "import azure.durable_functions"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr

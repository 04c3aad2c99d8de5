"""``durable doctor`` and ``durable bundle``: before an app folder is published."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import venv
import zipfile
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from host_process import copy_app

from azure.durable_functions._errors import SettingsError
from azure.durable_functions.local.cli import bundle, doctor, missing_packages
from azure.durable_functions.local.cli.main import main
from azure.durable_functions.local.config import requirements_txt
from azure.durable_functions.local.workers.app_info import AppInfo

SAMPLE = Path(__file__).parent.parent.parent / "samples" / "function_chaining_v2"
KEY = "AccountKey=" + "A" * 40 + "=="


@pytest.fixture
def app(tmp_path: Path) -> Path:
    """An app that carries this package: nothing is wrong with it."""
    folder = copy_app(SAMPLE, tmp_path / "app")
    bundle.write(folder)
    return folder


def examine(folder: Path, code: int) -> list[dict[str, Any]]:
    answer = CliRunner().invoke(main, ["doctor", str(folder), "--json"])
    assert answer.exit_code == code, answer.output
    found: list[dict[str, Any]] = json.loads(answer.stdout)
    return found


def test_a_sound_app_has_nothing_to_mend(app: Path) -> None:
    assert examine(app, 0) == []


def write(path: str, text: str) -> Any:
    def change(app: Path) -> None:
        (app / path).parent.mkdir(exist_ok=True)
        (app / path).write_text(text)

    return change


def append(path: str, text: str) -> Any:
    def change(app: Path) -> None:
        with (app / path).open("a") as file:
            file.write(text)

    return change


def remove(path: str) -> Any:
    return lambda app: (app / path).unlink()


ROUTE = '\n@app.route("{route}")\ndef {name}({parameter}):\n    return "x"\n'


@pytest.mark.parametrize(
    ("spoil", "severity", "where", "told"),
    [
        (remove("host.json"), "error", "host.json", "missing"),
        (write("host.json", '{"version": "2.0"}'), "error", "host.json", "no extensionBundle"),
        (
            write(
                "host.json", '{"version": "2.0", "extensionBundle": {"version": "[1.*, 2.0.0)"}}'
            ),
            *("warning", "host.json", "old"),
        ),
        (
            append("function_app.py", "\nimport nothing_like_it\n"),
            "error",
            "the app",
            "nothing_like_it",
        ),
        (
            append("function_app.py", ROUTE.format(route="x", name="odd", parameter="req: int")),
            *("error", "odd", "annotation"),
        ),
        (
            append(
                "function_app.py",
                '\n@app.activity_trigger(input_name="a_b")\ndef under(a_b):\n    return 1\n',
            ),
            *("error", "under", "underscore"),
        ),
        (
            append(
                "function_app.py",
                '\n@app.activity_trigger(input_name="word")\n'
                "def Durable_Activity(word):\n    return 1\n",
            ),
            *("error", "Durable_Activity", "same name"),
        ),
        (write("logging/__init__.py", ""), "error", "logging", "hides the module 'logging'"),
        (remove("requirements.txt"), "error", "requirements.txt", "missing"),
        (
            write("requirements.txt", "azure-functions\nazure-functions-durable<2\n"),
            *("warning", "requirements.txt", "fetches Microsoft's package"),
        ),
        (write("requirements.txt", "azure-functions\n"), "error", "requirements.txt", "not in it"),
        (remove(".funcignore"), "warning", "local.settings.json", "would be published"),
        (append(".funcignore", "*.whl\n"), "error", ".funcignore", "keeps ./wheels/"),
        (write("server.pem", "x"), "error", "server.pem", "would be published"),
        (write("host.json", "[]"), "error", "settings", "must hold a JSON object"),
        (
            write("requirements.txt", "azure-functions\nazure-functions-durable>=2.0\n"),
            *("error", "requirements.txt", "release 2"),
        ),
        (
            lambda app: (app / "requirements.txt").write_bytes(b"caf\xe9"),
            *("error", "requirements.txt", "cannot be read"),
        ),
        (
            append(
                "function_app.py",
                ROUTE.format(route="a/{x}", name="one", parameter="req")
                + ROUTE.format(route="a/{x}", name="two", parameter="req"),
            ),
            *("error", "two", "conflicts with the route"),
        ),
        (write("settings/prod.json", f'{{"c": "{KEY}"}}'), "error", "settings/prod.json", "key"),
    ],
)
def test_what_would_be_refused_or_hurt_is_found(
    app: Path, spoil: Any, severity: str, where: str, told: str
) -> None:
    spoil(app)
    found = examine(app, 4 if severity == "error" else 0)
    named = [item for item in found if item["where"] == where]
    assert [item["severity"] for item in named][:1] == [severity], found
    assert told in named[0]["what"]
    assert named[0]["mend"]


@pytest.mark.parametrize(("version", "count"), [("3.9.18", 1), ("3.12.1", 0), ("3.99.0", 1)])
def test_an_interpreter_that_the_cloud_does_not_offer_is_told(version: str, count: int) -> None:
    found = list(doctor._python(AppInfo([], [], None, [], version)))
    assert len(found) == count
    assert all(version in each.what for each in found)


def test_the_wheel_that_an_app_carries_is_whole_and_always_the_same(app: Path) -> None:
    [wheel] = (app / "wheels").iterdir()
    first = wheel.read_bytes()
    bundle.write(app)
    assert wheel.read_bytes() == first

    pin = f"./wheels/{wheel.name}"
    assert (app / "requirements.txt").read_text() == f"azure-functions\n{pin}\n"
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        assert "azure/durable_functions/models/Task.py" in names
        assert not any(name.startswith("azure/__init__") for name in names)
        record = archive.read(next(name for name in names if name.endswith("RECORD"))).decode()
    assert len(record.splitlines()) == len(names)


def test_a_bundle_follows_what_pip_reads(app: Path) -> None:
    requirements = app / "requirements.txt"
    hashed = "azure-functions==1.26 \\\n    --hash=sha256:aa\nazure-functions-durable==1.7 \\\n"
    requirements.write_bytes((hashed + "    --hash=sha256:bb\n").encode("utf-16"))
    wheel, pin = bundle.write(app)
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    assert requirements.read_text().splitlines() == [
        *("azure-functions==1.26 \\", "    --hash=sha256:aa", f"{pin} --hash=sha256:{digest}"),
    ]

    (app / "base.txt").write_text("azure-functions\nazure-functions-durable<2\n")
    requirements.write_text("-r base.txt\n")
    with pytest.raises(SettingsError, match=r"base\.txt asks for 'azure-functions-durable<2'"):
        bundle.write(app)
    assert wheel.is_file()
    assert [item["severity"] for item in examine(app, 0)] == ["warning"]


def test_an_interpreter_that_is_not_there_is_a_finding(app: Path) -> None:
    answer = CliRunner().invoke(
        main, ["doctor", str(app), "--json", "--worker-python", "/no/python"]
    )
    assert answer.exit_code == 4
    assert "/no/python" in json.loads(answer.stdout)[0]["what"]


def test_an_interpreter_that_installs_the_wheel_runs_the_package(app: Path, tmp_path: Path) -> None:
    venv.create(tmp_path / "fresh", with_pip=True, system_site_packages=False)
    python = tmp_path / "fresh" / "bin" / "python"
    [wheel] = (app / "wheels").iterdir()
    command = [python, "-m", "pip", "install", "-qq", "--no-deps", "--no-index", wheel]
    subprocess.run([*command, "--disable-pip-version-check"], check=True)
    asked = "import importlib.metadata as m; print(m.version('azure-functions-durable'))"
    answers = [
        subprocess.run([each, "-c", asked], capture_output=True, check=True).stdout
        for each in (python, sys.executable)
    ]
    assert answers[0] == answers[1]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("azure-functions-durable", True),
        ("Azure_Functions.Durable[all]>=1.2,<2  # ours", True),
        ("azure-functions-durable==1.7.0 --hash=sha256:abc", True),
        ("./wheels/azure_functions_durable-1.8.0-py3-none-any.whl", True),
        ("azure-functions-durable @ git+https://somewhere/x.git", True),
        ("azure-functions", False),
        ("# azure-functions-durable", False),
        ("azure-functions-durable-extras", False),
    ],
)
def test_lines_that_ask_for_the_package_are_known(
    tmp_path: Path, line: str, expected: bool
) -> None:
    (tmp_path / "requirements.txt").write_text(line)
    [found] = requirements_txt.read(tmp_path / "requirements.txt")
    assert found.is_package is expected


def test_keys_are_recognized_and_only_keys() -> None:
    assert doctor._SECRETS.search(KEY)
    assert not doctor._SECRETS.search("AccountKey=%STORAGE_KEY%")


IMPORTS = """
import typing
import azure.durable_functions as df
import click.testing
from azure.storage.nowhere import Client
from rich import print as show
import helper
if typing.TYPE_CHECKING:
    import only_for_checkers
try:
    import orjson
except ImportError:
    orjson = None
"""


def test_imported_packages_that_requirements_lack_are_named(tmp_path: Path) -> None:
    (tmp_path / "function_app.py").write_text(IMPORTS)
    (tmp_path / "helper.py").write_text("def load():\n    import pytest\n    import iniconfig\n")
    (tmp_path / "test_app.py").write_text("import hypothesis\n")
    (tmp_path / ".venv").mkdir()
    (tmp_path / ".venv" / "x.py").write_text("import yarl\n")

    def missing(text: str) -> list[tuple[str, str, bool]]:
        path = tmp_path / "requirements.txt"
        path.write_text(text)
        known = requirements_txt.read(path)
        found = missing_packages.find(tmp_path, sys.executable, known, [])
        return [(file, what.partition(" is imported")[0], sure) for file, what, sure in found]

    storage = ("function_app.py", "azure.storage.nowhere.Client", True)
    assert missing("azure-functions\nrich>=13\n") == [
        ("function_app.py", "click.testing", True),
        storage,
        ("helper.py", "pytest", True),
        ("helper.py", "iniconfig", True),
    ]
    # pytest brings iniconfig along.
    assert missing("Click\nrich\npytest ; python_version > '3'\n") == [storage]
    assert missing("click\nrich\npytest\nnot-installed-here\n") == [(*storage[:2], False)]


def test_what_a_bundle_writes_into_an_app_without_requirements_is_sound(app: Path) -> None:
    (app / "requirements.txt").unlink()
    bundle.write(app)
    assert examine(app, 0) == []
    assert (app / "requirements.txt").read_text().splitlines()[0] == "azure-functions"

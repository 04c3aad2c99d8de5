"""What the code offers stands in the docs, and the reverse; links lead somewhere."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from azure.durable_functions.local.cli.main import main
from azure.durable_functions.local.config import host_json, json_files
from azure.durable_functions.local.web import management_api

ROOT = Path(__file__).parent.parent.parent
DOCS = ROOT / "docs"
PAGES = [*sorted(DOCS.glob("*.md")), ROOT / "README.md", *sorted(ROOT.glob("samples/*/README.md"))]
SOURCE = {path: path.read_text() for path in (ROOT / "azure" / "durable_functions").rglob("*.py")}
HIDDEN = {"--no-build", "--pause-on-error"}
SET_FOR_THE_APP = {"WEBSITE_INSTANCE_ID", "WEBSITE_SITE_NAME", "PYTHONUNBUFFERED"}
OF_OTHER_PROGRAMS = {"--listen"}  # debugpy's
COMMANDS = {
    name: command
    for name in main.list_commands(click.Context(main))
    if (command := main.get_command(click.Context(main), name)) is not None
}


def docs(*names: str) -> str:
    return "\n".join((DOCS / name).read_text() for name in names)


def options_of(command: click.Command) -> set[str]:
    found = {o for p in command.params for o in p.opts if o.startswith("--")}
    return found - HIDDEN


def test_every_command_and_option_is_documented() -> None:
    text = docs("run-locally.md", "commands.md")
    assert set(COMMANDS) - set(re.findall(r"`(?:durable )?([a-z-]+)[ `]", text)) == set()
    offered = {option for command in COMMANDS.values() for option in options_of(command)}
    assert offered - set(re.findall(r"--[a-zA-Z-]+[a-zA-Z]", text)) == set()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_command_and_option_in_the_docs_exists(page: Path) -> None:
    for line in page.read_text().splitlines():
        for name, rest in re.findall(r"(?<![\w./-])durable ([a-z][a-z-]*)([^`|&#]*)", line):
            if f"durable {name}" in line and ("`" in line or line.startswith(("durable", "../"))):
                if name not in COMMANDS:
                    assert f"`durable {name}" not in line, f"{page.name}: {line}"
                    continue
                used = set(re.findall(r"(?<!\S)--[a-zA-Z-]+", rest)) - OF_OTHER_PROGRAMS
                assert used <= options_of(COMMANDS[name]), f"{page.name}: {line}"
    if page.parent == DOCS and page.name in ("run-locally.md", "commands.md"):
        offered = {option for command in COMMANDS.values() for option in options_of(command)}
        named = set(re.findall(r"`(--[a-zA-Z-]+)", page.read_text()))
        assert named <= offered


def asked_keys(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """What the host reads of host.json."""
    asked: set[str] = set()
    real = json_files.Reader.get

    def get(self: json_files.Reader, *keys: str) -> object:
        asked.add(".".join(keys))
        return real(self, *keys)

    monkeypatch.setattr(json_files.Reader, "get", get)
    host_json.read_host_json(Path("/nowhere"), {})
    return asked


def test_the_table_of_host_json_is_what_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    section = docs("settings.md").partition("## host.json")[2].partition("\n## ")[0]
    table, _, without_effect = section.partition("Without effect here:")
    assert set(re.findall(r"^\| `([^`]+)`", table, re.M)) == asked_keys(monkeypatch)
    short = {name.rpartition(".")[2].lower() for name in re.findall(r"`([^`]+)`", without_effect)}
    known = {key.rpartition(".")[2] for key in host_json._NOT_APPLYING} | {"durabletask"}
    assert short == known


def environment_variables() -> Iterator[str]:
    """Names that the code reads from the environment, or sets there for the app."""
    read = (
        r'(?:os\.)?environ(?:ment)?(?:\.get|\.setdefault)?[(\[]\s*"([A-Za-z_]+)"',
        r'envvar="([A-Z_]+)"',
        r'^VARIABLE = "([A-Z_]+)"',
        r'^\s+"([A-Z]+_[A-Z_]+)": (?:"|f")',  # what the host sets, in workers/starting.py
    )
    for path, text in SOURCE.items():
        for pattern in read if path.name == "starting.py" else read[:-1]:
            yield from re.findall(pattern, text, re.M)


def test_environment_variables_are_documented_and_used() -> None:
    section = docs("settings.md").partition("## Environment variables")[2]
    rows = re.findall(r"^\| (`.*?) \|", section, re.M)
    documented = {name for row in rows for name in re.findall(r"`([^`]+)`", row)}
    assert set(environment_variables()) - documented - SET_FOR_THE_APP == set()
    code = "\n".join(SOURCE.values())
    written = {re.sub(r"(?<=[._])NAME(?=[._])", "{function}", name) for name in documented}
    unused = {name for name in written if name not in code}
    assert unused == set()


def test_routes_are_documented_and_exist() -> None:
    text = docs("run-locally.md")
    documented = {
        name.lower()
        for name in re.findall(r"instances/\{id\}/(\w+)", text)
        + re.findall(r"terminate|suspend|resume|rewind", text)
    }
    assert documented == {name for name, _ in management_api._OPERATIONS}
    code = "\n".join(text for path, text in SOURCE.items() if path.parent.name == "web")
    for first in set(re.findall(r"(?:GET|POST|DELETE) /?(\w+)", text)):
        assert f'"{first}"' in code or f"/{first}" in code, first
    for first in ("orchestrators", "entities", "instances", "admin/functions", "admin/host"):
        assert first in text


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)]+)\)", page.read_text()):
        if "://" in target:
            continue
        path, _, anchor = target.partition("#")
        found = (page.parent / path).resolve() if path else page
        assert found.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.*)$", found.read_text(), re.M)
            slugs = {re.sub(r"[^\w\s-]", "", h).strip().lower().replace(" ", "-") for h in headings}
            assert anchor in slugs, target


def test_every_sample_named_in_the_docs_is_there_and_every_sample_is_named() -> None:
    folders = {path.parent.name for path in ROOT.glob("samples/*/host.json")}
    text = docs(*(page.name for page in DOCS.glob("*.md")))
    named = set(re.findall(r"`(\w+)`", text)) & folders
    readme = (ROOT / "README.md").read_text()
    assert folders - named - set(re.findall(r"`(\w+)`", readme)) == set()
    for line in re.findall(r"[Ss]amples?:? (`.*)", text):
        for name in re.findall(r"`([a-z_0-9]+)`", line):
            assert name in folders, line


@pytest.mark.parametrize("folder", sorted(path.parent for path in ROOT.glob("samples/*/host.json")))
def test_every_sample_has_all_its_files(folder: Path) -> None:
    names = {"README.md", "host.json", "local.settings.json", "requirements.txt", ".funcignore"}
    assert names <= {path.name for path in folder.iterdir()}
    assert (folder / f"test_{folder.name}.py").is_file()
    text = (folder / "README.md").read_text()
    assert text.count("```sh") == 1
    assert "deploy" in text


def test_no_file_names_a_package_registry() -> None:
    tracked = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True
    ).stdout.decode()
    hosts = [f"{name}.org" for name in ("pypi", "files.pythonhosted")]
    for path in filter(None, tracked.split("\0")):
        content = (ROOT / path).read_bytes() if (ROOT / path).is_file() else b""
        assert not any(host.encode() in content for host in hosts), path

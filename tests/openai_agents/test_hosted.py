"""Agents under the local host: many in one process, and a worker killed in the middle."""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path

import pytest
from host_process import WEBHOOK, HostProcess

HERE = Path(__file__).parent


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    shutil.copy(HERE / "killed_app.py", tmp_path / "function_app.py")
    shutil.copy(HERE / "fake_models.py", tmp_path)
    (tmp_path / "host.json").write_text('{"version": "2.0"}')
    return tmp_path


def started(host: HostProcess, who: str) -> str:
    reply = host.call("POST", f"{WEBHOOK}/orchestrators/talk", who)
    instance_id: str = reply.json["id"]
    return instance_id


def output(who: str) -> str:
    return f"{who} has {', '.join([f'{who}!'] * 4)}"


@pytest.mark.parametrize("options", [(), ("--sessions",)], ids=["replayed", "sessions"])
def test_runs_in_one_process_do_not_mix(folder: Path, options: tuple[str, ...]) -> None:
    names = ["Ada", "Bob", "Cleo", "Dan", "Eve"]
    with HostProcess(folder, *options) as host:
        ids = {who: started(host, who) for who in names}
        assert host.call("POST", "/api/beside/Zoe").body == b"Zoe"
        told = {who: host.finished(instance_id)["output"] for who, instance_id in ids.items()}
    assert told == {who: output(who) for who in names}
    answers = Counter((folder / "answers.log").read_text().splitlines())
    assert answers == {f"{who} {n}": 1 for who in names for n in range(5)}


@pytest.mark.parametrize("options", [(), ("--sessions",)], ids=["replayed", "sessions"])
def test_a_killed_worker_costs_no_answer(folder: Path, options: tuple[str, ...]) -> None:
    (folder / "deadly").touch()
    with HostProcess(folder, *options) as host:
        instance_id = started(host, "Ada")
        assert host.finished(instance_id)["output"] == output("Ada")
    assert not (folder / "deadly").exists()
    assert (folder / "answers.log").read_text().splitlines() == [f"Ada {n}" for n in range(5)]

"""A page of another site, in a real browser where one is installed, gets nowhere."""

from __future__ import annotations

import re
import shutil
import subprocess
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from furl import furl
from host_process import WEBHOOK, HostProcess, copy_app

HERE = Path(__file__).parent
BROWSER = shutil.which("chromium") or shutil.which("google-chrome")


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Requests are no news."""


@pytest.mark.skipif(BROWSER is None, reason="needs Chromium or Chrome")
@pytest.mark.parametrize("site", ["127.0.0.1", "localhost"])
def test_a_foreign_page_can_neither_do_nor_read_anything(tmp_path: Path, site: str) -> None:
    pages = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=HERE / "pages"))
    threading.Thread(target=pages.serve_forever, daemon=True).start()
    with HostProcess(copy_app(HERE / "apps" / "conformance", tmp_path / "app")) as host:
        host.call("POST", f"{WEBHOOK}/orchestrators/Stuck/victim")
        while host.status("victim").json["runtimeStatus"] != "Running":
            continue
        page = furl(f"http://{site}:{pages.server_port}/foreign.html")
        page.args.update(host=host.url, rpc="http://127.0.0.1:17071/durabletask/")
        options = ["--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path}/b"]
        shown = subprocess.run(
            [str(BROWSER), *options, "--virtual-time-budget=8000", "--dump-dom", page.url],
            capture_output=True,
            text=True,
            timeout=60,
        ).stdout
        pages.shutdown()
        pages.server_close()

        assert "<title>done</title>" in shown
        [said] = re.findall("<pre>(.*?)</pre>", shown, re.DOTALL)
        assert len(said.splitlines()) == 15
        assert "READ" not in said
        [victim] = host.call("GET", f"{WEBHOOK}/instances").json
        assert (victim["instanceId"], victim["runtimeStatus"]) == ("victim", "Running")
        assert host.call("GET", f"{WEBHOOK}/entities").json == []
        executed = [line for line in host.lines if "Executing" in line]
        assert len(executed) == 1
        assert "Functions.Stuck" in executed[0]

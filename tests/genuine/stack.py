"""An app on the genuine Durable Task extension, as a process beside others.

``python stack.py FOLDER`` runs one until Ctrl-C. As a class it has the interface of
`host_process.HostProcess`, so whatever is tried on ``durable start`` can be tried on the extension.
Three processes each: Azurite, the extension's host (``Host/``), and `front`.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from guard import Guarded
from host_process import HostProcess

HERE = Path(__file__).parent
ACCOUNT = "devstoreaccount1"
# Azurite's well-known key: no secret.
ACCOUNT_KEY = (
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
)


@dataclass(frozen=True)
class Programs:
    """What must be there: README.md says how to come by it."""

    dotnet: str
    host_dll: str
    azurite: str

    @staticmethod
    def found() -> Programs:
        """As the environment names them; GENUINE_HOME is a folder that holds all three."""
        home = Path(os.environ.get("GENUINE_HOME") or Path.home() / ".cache" / "genuine-durable")
        azurite = home / "azurite" / "node_modules" / ".bin" / "azurite"
        return Programs(
            dotnet=os.environ.get("GENUINE_DOTNET") or str(home / "dotnet" / "dotnet"),
            host_dll=os.environ.get("GENUINE_HOST_DLL") or str(home / "host" / "Host.dll"),
            azurite=os.environ.get("GENUINE_AZURITE") or str(azurite),
        )

    def missing(self) -> list[str]:
        """What cannot be run or read, each with its variable."""
        wanted = {
            "GENUINE_DOTNET": shutil.which(self.dotnet),
            "GENUINE_HOST_DLL": Path(self.host_dll).is_file(),
            "GENUINE_AZURITE": shutil.which(self.azurite),
            "node": shutil.which("node"),
        }
        return [name for name, is_there in wanted.items() if not is_there]


class ExtensionProcess(HostProcess):
    """An app on the extension: the same calls as for the local host."""

    def __init__(
        self, folder: Path, *arguments: str, settings: Mapping[str, str] | None = None
    ) -> None:
        """Prepare; `start` does the work.

        Args:
            folder: The app; its host.json is honoured.
            arguments: Of ``durable start``: ``--worker-python PYTHON``, and no other.
            settings: Environment variables of the app.
        """
        if arguments and (len(arguments) != 2 or arguments[0] != "--worker-python"):
            raise ValueError(f"options of the local host say nothing to the extension: {arguments}")
        super().__init__(folder, *arguments, settings=settings)
        self._programs = Programs.found()
        self._files: Path | None = None
        self._azurite: Guarded | None = None
        self._front: Guarded | None = None
        self._extension: Guarded | None = None
        self._storage = ""
        self._door = ""
        self._hub_name = ""

    @property
    def lines(self) -> list[str]:
        """What the app has logged so far."""
        log = self._files / "front.log" if self._files else None
        if log is None or not log.exists():
            return []
        return log.read_text(errors="replace").splitlines()

    @lines.setter
    def lines(self, lines: list[str]) -> None:
        assert not lines  # the base class begins with none

    def start(self) -> None:
        """Start what is not running; returns when requests are answered."""
        try:
            self._start()
        except BaseException:
            self.stop()
            raise

    def _start(self) -> None:
        if self._files is None:
            self._files = Path(tempfile.mkdtemp(prefix="genuine-"))
        azurite = self._start_azurite(self._files) if self._azurite is None else None
        if self._front is None:
            self._start_front(self._files)
        if azurite is not None:
            self._storage = _connection_string(azurite)
        self._start_extension(self._files)

    def _start_azurite(self, files: Path) -> Guarded:
        ports = [part for kind in ("blob", "queue", "table") for part in (f"--{kind}Port", "0")]
        command = [self._programs.azurite, "--inMemoryPersistence", "--skipApiVersionCheck"]
        log = files / "azurite.log"
        self._azurite = Guarded("Azurite", [*command, *ports], log, self._environment())
        return self._azurite

    def _start_front(self, files: Path) -> None:
        (files / "extension").write_text("http://127.0.0.1:1/not-started")
        command = [sys.executable, "-W", "ignore", str(HERE / "front.py"), str(self.folder)]
        command += [str(files / "functions.json"), str(files / "extension"), *self._arguments]
        environment = {**self._environment(), **self._settings}
        self._front = Guarded("the front", command, files / "front.log", environment)
        ready = self._front.wait_for(r"^READY (\S+) (\S+) (\S+)$")[0]
        self.url, self._door, self._hub_name = ready.groups()

    def _start_extension(self, files: Path) -> None:
        environment = {
            **self._environment(),
            "AzureWebJobsStorage": self._storage,
            "DURABLE_WEBHOOK": f"{self.url}/runtime/webhooks/durabletask?code=KEY",
            "DURABLE_HOST_JSON": str(self.folder / "host.json"),
            "DOTNET_SYSTEM_GLOBALIZATION_INVARIANT": "1",
            "FUNCTIONS_WORKER_RUNTIME": "python",
        }
        command = [self._programs.dotnet, self._programs.host_dll]
        command += [str(files / "functions.json"), self._door, self._hub_name]
        log = files / "extension.log"
        self._extension = Guarded("the extension's host", command, log, environment)
        address = self._extension.wait_for(r"^READY (http\S+)")[0][1]
        (files / "extension").write_text(address)

    def _environment(self) -> dict[str, str]:
        # With CONTAINER_NAME the extension takes itself for one on the Consumption plan.
        # PYTHONPATH might lead a worker with the official package to ours.
        left_out = ("CI", "CONTAINER_NAME", "PYTHONPATH", "VIRTUAL_ENV")
        kept = {name: text for name, text in os.environ.items() if name not in left_out}
        return {**kept, "PYTHONUNBUFFERED": "1"}

    def stop(self) -> int:
        """End everything; the logs go, too, unless GENUINE_KEEP is set."""
        self.kill()
        if self._azurite is not None:
            self._azurite.kill()
            self._azurite = None
        if self._files is not None and not os.environ.get("GENUINE_KEEP"):
            shutil.rmtree(self._files, ignore_errors=True)
            self._files = None
        return 0

    def kill(self) -> None:
        """End all but the storage at once, as loss of power does; `start` goes on with it."""
        self.kill_extension()
        if self._front is not None:
            self._front.kill()
            self._front = None

    def kill_extension(self) -> None:
        """End the extension's host alone, at once; `start` goes on with the same workers."""
        if self._extension is not None:
            self._extension.kill()
            self._extension = None

    def __exit__(
        self,
        kind: type[BaseException] | None,
        raised: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if raised is not None and self._files is not None:
            log = (self._files / "extension.log").read_text(errors="replace")
            print(f"The extension's host printed:\n{log[-4000:]}")
        super().__exit__(kind, raised, trace)


def _connection_string(azurite: Guarded) -> str:
    ready = r"Azurite (Blob|Queue|Table) service (?:is )?successfully listen\w* (?:at|on) "
    found = azurite.wait_for(ready + r"(http\S+)", 3)
    endpoints = "".join(f"{place[1]}Endpoint={place[2]}/{ACCOUNT};" for place in found)
    account = f"DefaultEndpointsProtocol=http;AccountName={ACCOUNT};AccountKey={ACCOUNT_KEY};"
    return account + endpoints


def main() -> None:
    """Run an app until Ctrl-C."""
    with ExtensionProcess(Path(sys.argv[1]).resolve(), *sys.argv[2:]) as stack:
        print(f"Listening on {stack.url} (Ctrl-C stops)", flush=True)
        try:
            while True:
                time.sleep(3600)
        except KeyboardInterrupt:
            print("Stopped.")


if __name__ == "__main__":
    sys.path.insert(0, str(HERE.parent / "local"))
    main()

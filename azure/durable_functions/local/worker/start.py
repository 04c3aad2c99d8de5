"""Entry point of a worker process: ``python start.py SOCKET LIFELINE FOLDER [FUNCTION...]``.

Both numbers are inherited file descriptors. The end of the lifeline ends the process, also while
user code blocks the event loop, so that a killed host leaves no orphan.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import signal
import sys
import threading
from pathlib import Path

_PACKAGE = "_durable_worker"


def main() -> None:
    """Make this folder importable under a private name, and serve."""
    socket_fd, lifeline_fd, root = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    threading.Thread(target=_watch, args=(lifeline_fd,), daemon=True).start()
    _end_with_the_host()
    here = Path(__file__).resolve().parent
    # The app folder takes the place of this one: user code must not meet our module names.
    sys.path[0] = root
    spec = importlib.util.spec_from_file_location(
        _PACKAGE, here / "__init__.py", submodule_search_locations=[str(here)]
    )
    assert spec is not None  # the file stands beside this one
    assert spec.loader is not None
    package = importlib.util.module_from_spec(spec)
    sys.modules[_PACKAGE] = package
    spec.loader.exec_module(package)
    importlib.import_module(f"{_PACKAGE}.runtime").run(socket_fd, root, sys.argv[4:])


def _end_with_the_host() -> None:
    """Ask Linux to end this process with its parent: a thread cannot while C code holds the GIL."""
    if sys.platform != "linux":
        return
    import ctypes

    set_death_signal = 1  # PR_SET_PDEATHSIG
    ctypes.CDLL(None).prctl(set_death_signal, signal.SIGKILL)


def _watch(lifeline_fd: int) -> None:
    while os.read(lifeline_fd, 1):
        continue
    os._exit(1)


if __name__ == "__main__":
    main()

"""Entry point of a worker process.

``python start.py SOCKET LIFELINE COUNT SHARE FOLDER [FUNCTION...]``: the first two numbers are
inherited file descriptors, the others those of `continuations.Places`. The end of the lifeline ends
the process, also while user code blocks the event loop, so that a killed host leaves no orphan.
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
    socket_fd, lifeline_fd, count, share = (int(text) for text in sys.argv[1:5])
    root, *only = sys.argv[5:]
    threading.Thread(target=_watch, args=(lifeline_fd,), daemon=True).start()
    _end_with_the_host()
    here = Path(__file__).resolve().parent
    # The app folder takes the place of this one: user code must not meet our module names.
    if not getattr(sys.flags, "safe_path", False):  # else this one is not there, from 3.11 on
        del sys.path[0]
    sys.path.insert(0, root)
    spec = importlib.util.spec_from_file_location(
        _PACKAGE, here / "__init__.py", submodule_search_locations=[str(here)]
    )
    assert spec is not None  # the file stands beside this one
    assert spec.loader is not None
    package = importlib.util.module_from_spec(spec)
    sys.modules[_PACKAGE] = package
    spec.loader.exec_module(package)
    importlib.import_module(f"{_PACKAGE}.no_terminal").install()
    importlib.import_module(f"{_PACKAGE}.runtime").run(socket_fd, root, only, (count, share))


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

"""``durable bundle``: lets a deployed app carry the very package that it runs with here.

The public index has Microsoft's package under the same name, so a deployed folder brings a wheel of
this one along (``wheels/``) and its requirements.txt names that file.
"""

from __future__ import annotations

import base64
import hashlib
import importlib.metadata
import io
import zipfile
from collections.abc import Iterator
from pathlib import Path

from azure.durable_functions import _startup
from azure.durable_functions._errors import SettingsError
from azure.durable_functions.local.host_json import find_app_root

DISTRIBUTION = "azure-functions-durable"
WHEELS = "wheels"
_PACKAGE = Path(__file__).parent.parent
_EPOCH = (1980, 1, 1, 0, 0, 0)
_KINDS = (".py", ".pyi")
_WHEEL = """\
Wheel-Version: 1.0
Generator: durable-bundle
Root-Is-Purelib: true
Tag: py3-none-any
"""


def write(folder: Path) -> tuple[Path, str]:
    """Put a wheel of this package into an app folder, and its pin into requirements.txt.

    Args:
        folder: Of the app.

    Returns:
        The wheel, and the line of requirements.txt that names it.

    Raises:
        SettingsError: The folder holds no app, or cannot be written to.
    """
    root = find_app_root(folder)
    version = importlib.metadata.version(DISTRIBUTION)
    name = f"{DISTRIBUTION.replace('-', '_')}-{version}"
    wheel = root / WHEELS / f"{name}-py3-none-any.whl"
    pin = f"./{WHEELS}/{wheel.name}"
    try:
        wheel.parent.mkdir(exist_ok=True)
        for older in wheel.parent.glob(f"{DISTRIBUTION.replace('-', '_')}-*.whl"):
            older.unlink()
        wheel.write_bytes(_content(f"{name}.dist-info"))
        requirements = root / "requirements.txt"
        text = requirements.read_text("utf-8") if requirements.is_file() else ""
        requirements.write_text(pinned(text, pin), "utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"cannot prepare {root}: {error}") from error
    return wheel, pin


def pinned(requirements: str, pin: str) -> str:
    """A requirements.txt that names the wheel in the place of the package."""
    kept = [line for line in requirements.splitlines() if not names_package(line)]
    return "\n".join([*kept, pin, ""])


def names_package(line: str) -> bool:
    """Whether a line of requirements.txt asks for this package, from an index or as a wheel."""
    bare = line.partition("#")[0].partition(";")[0].partition("--hash")[0].strip()
    file = bare.rpartition("/")[2].lower()
    is_wheel = file.startswith(f"{DISTRIBUTION.replace('-', '_')}-") and file.endswith(".whl")
    return is_wheel or _startup.REQUIREMENT.fullmatch(bare) is not None


def _content(dist_info: str) -> bytes:
    """The wheel's bytes: the same for the same package, whenever they are made."""
    files = {**dict(_package_files()), **dict(_metadata(dist_info))}
    record = "".join(f"{path},{_digest(data)},{len(data)}\n" for path, data in files.items())
    files[f"{dist_info}/RECORD"] = f"{record}{dist_info}/RECORD,,\n".encode()
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, data in files.items():
            entry = zipfile.ZipInfo(path, _EPOCH)
            entry.external_attr = 0o100644 << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, data)
    return buffer.getvalue()


def _package_files() -> Iterator[tuple[str, bytes]]:
    for path in sorted(_PACKAGE.rglob("*")):
        if path.is_file() and (path.suffix in _KINDS or path.name == "py.typed"):
            inner = path.relative_to(_PACKAGE.parent.parent)
            yield inner.as_posix(), path.read_bytes()


def _metadata(dist_info: str) -> Iterator[tuple[str, bytes]]:
    installed = importlib.metadata.distribution(DISTRIBUTION)
    described = installed.read_text("METADATA") or installed.read_text("PKG-INFO") or ""
    yield f"{dist_info}/METADATA", described.encode()
    yield f"{dist_info}/WHEEL", _WHEEL.encode()
    yield f"{dist_info}/entry_points.txt", (installed.read_text("entry_points.txt") or "").encode()


def _digest(data: bytes) -> str:
    digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=")
    return f"sha256={digest.decode()}"

"""``durable bundle``: vendors this package into an app, so that it is deployed with it.

The public index has Microsoft's package under the same name. So the app folder gets a wheel of this
one (in ``wheels/``), and its requirements.txt refers to that file.
"""

from __future__ import annotations

import base64
import hashlib
import importlib.metadata
import io
import zipfile
from collections.abc import Iterator
from pathlib import Path

from azure.durable_functions._errors import SettingsError
from azure.durable_functions.local.config import requirements_txt
from azure.durable_functions.local.config.app_folder import find_app_root
from azure.durable_functions.local.config.requirements_txt import DISTRIBUTION

WHEELS = "wheels"
_PACKAGE = Path(__file__).parents[2]
_EPOCH = (1980, 1, 1, 0, 0, 0)
_KINDS = (".py", ".pyi")
FUNCIGNORE = """\
.durable/
.git*
.venv/
.vscode/
__pycache__/
local.settings.json
test_*.py
"""
"""What need not be published; written if an app has no .funcignore."""
_WHEEL = """\
Wheel-Version: 1.0
Generator: durable-bundle
Root-Is-Purelib: true
Tag: py3-none-any
"""


def write(folder: Path) -> tuple[Path, str]:
    """Writes a wheel of this package into an app folder and pins it in requirements.txt.

    Args:
        folder: The app's folder.

    Returns:
        The wheel, and its line in requirements.txt.

    Raises:
        SettingsError: There is no app in the folder, or the folder cannot be written to.
    """
    root = find_app_root(folder)
    requirements = root / "requirements.txt"
    known = requirements_txt.read(requirements)  # before anything is changed
    for each in known:
        if each.is_package and each.file != requirements:
            raise SettingsError(
                f"{each.file} asks for {each.text!r}, which contradicts the wheel; remove that "
                "line first"
            )
    version = importlib.metadata.version(DISTRIBUTION)
    name = f"{DISTRIBUTION.replace('-', '_')}-{version}"
    wheel = root / WHEELS / f"{name}-py3-none-any.whl"
    pin = f"./{WHEELS}/{wheel.name}"
    content = _content(f"{name}.dist-info")
    kept = [
        line
        for each in known
        if each.file == requirements and not each.is_package
        for line in each.lines
    ]
    if not any(each.is_functions or each.has_hash for each in known):
        kept.append("azure-functions")
    line = pin
    if any(each.has_hash for each in known):  # then pip requires a hash for every package
        line += f" --hash=sha256:{hashlib.sha256(content).hexdigest()}"
    try:
        wheel.parent.mkdir(exist_ok=True)
        for older in wheel.parent.glob(f"{DISTRIBUTION.replace('-', '_')}-*.whl"):
            older.unlink()
        wheel.write_bytes(content)
        requirements.write_text("\n".join([*kept, line, ""]), "utf-8")
        ignored = root / ".funcignore"
        if not ignored.is_file():
            ignored.write_text(FUNCIGNORE)
    except OSError as error:
        raise SettingsError(f"cannot prepare {root}: {error}") from error
    return wheel, pin


def _content(dist_info: str) -> bytes:
    """Returns the wheel's bytes, which depend on the package only, not on the time."""
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

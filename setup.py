"""Everything is in pyproject.toml, but for one thing: source archives that can be built again."""

import gzip
import os
import tarfile
from pathlib import Path

from setuptools import setup
from setuptools.command.sdist import sdist

# As wheels do it: without the variable, the first moment that a zip file can express.
EPOCH = int(os.environ.get("SOURCE_DATE_EPOCH", "315532800"))


class ReproducibleSdist(sdist):
    """Writes the same bytes for the same files: sorted, without owners, all of one moment."""

    def make_archive(self, base_name, format, root_dir=None, base_dir=None, owner=None, group=None):
        """One .tar.gz, whatever format was asked for."""
        target = Path(f"{base_name}.tar.gz")
        source = Path(root_dir or ".") / base_dir
        target.parent.mkdir(parents=True, exist_ok=True)
        with (
            target.open("wb") as file,
            gzip.GzipFile("", "wb", 9, file, mtime=EPOCH) as packed,
            tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive,
        ):
            for path in sorted(source.rglob("*")):
                entry = archive.gettarinfo(path, f"{base_dir}/{path.relative_to(source)}")
                entry.mtime, entry.uid, entry.gid, entry.uname, entry.gname = EPOCH, 0, 0, "", ""
                entry.mode = 0o755 if path.is_dir() else 0o644
                if path.is_file():
                    with path.open("rb") as content:
                        archive.addfile(entry, content)
                else:
                    archive.addfile(entry)
        return str(target)


setup(cmdclass={"sdist": ReproducibleSdist})

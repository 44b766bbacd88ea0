"""Whether files can be made in a folder, and how much room there is. A probe leaves nothing behind, however it ends."""

import shutil
import tempfile
from pathlib import Path

from pipelines.doctor.finding import Finding


def check_folder(area: str, folder: Path, setting: str) -> Finding:
    """Say whether ``folder`` can be written to, or be made; ``setting`` names what decides where it is."""
    place = existing_part(folder)
    remedy = f"Mend its permissions or what stands in its way, or set {setting} to another place."
    if not place.is_dir():
        return Finding(area, "folder", "problem", f"{place} is a file, and {folder} should be a folder", remedy)
    try:
        with tempfile.TemporaryFile(dir=place) as probe:
            probe.write(b"daybreak")
            probe.flush()
    except OSError as error:
        return Finding(area, "folder", "problem", f"{place} cannot be written: {error.strerror or error}", remedy)
    return Finding(area, "folder", "ok", f"{folder} can be {'written' if place == folder else 'made'}")


def existing_part(path: Path) -> Path:
    """Return ``path``, or the nearest folder above it that is there."""
    return next(place for place in (path, *path.parents) if place.exists() or place == place.parent)


def free_bytes(path: Path) -> int:
    """Return what is free on the filesystem that ``path`` is on, or would be on."""
    return shutil.disk_usage(existing_part(path)).free


def readable(size: float) -> str:
    """Return a number of bytes as people say it."""
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}"
        size /= 1000
    return f"{size:,.1f} TB"

"""Files as they will be: everything is checked before the first one is written, and a crash in between leaves whole files."""

import os
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from pipelines.errors import PrerequisiteError

UNWRITTEN = "Nothing was written."


@dataclass
class Edit:
    """Files as they will be, in the order they are to be written: each is of use only with those before it."""

    texts: dict[Path, str] = field(default_factory=dict)

    def read(self, file: Path) -> str | None:
        """Return a file's text as it will be; None if there is none."""
        if file not in self.texts and not file.exists():
            return None
        return self.texts[file] if file in self.texts else file.read_bytes().decode()

    def write(self, file: Path, text: str) -> None:
        """Say what a file will be; one that stays as it is is not written."""
        if self.read(file) != text:
            self.texts[file] = text


def write_files(edit: Edit) -> None:
    """Write all files under other names, then give each its own; a crash in between leaves whole files, in an order that works."""
    temporary = {file: file.with_name(f".{file.name}.{os.getpid()}") for file in edit.texts}
    try:
        for file, text in edit.texts.items():
            file.parent.mkdir(parents=True, exist_ok=True)
            with temporary[file].open("wb") as out:
                out.write(text.encode())
                out.flush()
                os.fsync(out.fileno())
            if file.exists():
                temporary[file].chmod(file.stat().st_mode & 0o777)
        for file in edit.texts:
            temporary[file].replace(file.resolve())  # through a link, to the file it names
    except OSError as error:
        raise PrerequisiteError(
            [f"{error.filename}: {error.strerror}."],
            safe="No file is half written.",
            remedy="Mend it, and do this again: what is there stays.",
        ) from error
    finally:
        for file in temporary.values():
            with suppress(OSError):  # what could not be written need not be taken away
                file.unlink()

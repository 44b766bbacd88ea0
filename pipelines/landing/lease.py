"""Whose turn it is at a load that several machines can reach: a small object that its owner writes anew every few seconds.

A lease saves work and decides nothing else. A machine that wrongly takes itself for the owner finds the next manifest record written
by another one, or at last the warehouse's fencing token: its load does not commit.
"""

import json
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from socket import gethostname

from ulid import ULID

from pipelines.errors import DaybreakError
from pipelines.landing.bucket import Bucket, Found

OWNER = "owner.json"
BEATS = 3  # in the time that a lease lasts
LOOK_SECONDS = 1.0  # how often one who waits for a silent owner looks again


class Lease:
    """A turn at one load, from ``take_lease``. It is renewed by a thread of its own while it is ``kept``."""

    def __init__(self, bucket: Bucket, name: str, place: str) -> None:
        """Begin as nobody's: ``etag`` is that of the object as we wrote it last."""
        self.etag: str | None = None
        self._bucket, self._name, self._place = bucket, name, place
        self._holder, self._beat = str(ULID()), 0
        self._renewed_at = time.monotonic()
        self._turn = threading.Lock()

    def body(self) -> bytes:
        """Return what the object says while it is ours; each time something else, so that its tag is another one."""
        self._beat += 1
        return json.dumps({"place": self._place, "holder": self._holder, "beat": self._beat}).encode()

    def is_ours(self) -> bool:
        """Whether it is still ours; asked for only where others may have waited for long enough to take it."""
        if time.monotonic() - self._renewed_at > self._bucket.address.lease_seconds:
            self.renew()
        return self.etag is not None

    def renew(self) -> None:
        """Write it anew, unless somebody took it."""
        with self._turn:
            begun_at = time.monotonic()  # before the request: others count from when the server wrote
            if self.etag is not None:
                self.etag = self._bucket.put_over(self._name, self.body(), self.etag)
            self._renewed_at = begun_at

    def end(self) -> None:
        """Delete the object, after all else of the load."""
        with self._turn:
            if self.etag is not None:
                self._bucket.delete([self._name])
            self.etag = None

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Renew it until the block ends, then give it back at once. An owner that dies is silent, and that is all."""
        is_over = threading.Event()
        pause = self._bucket.address.lease_seconds / BEATS
        thread = threading.Thread(target=self._work, args=(is_over, pause), name="lease", daemon=True)
        thread.start()
        try:
            yield
        finally:
            is_over.set()
            thread.join()
            with self._turn, suppress(DaybreakError):  # then others wait for it to run out
                if self.etag is not None:
                    self._bucket.put_over(self._name, json.dumps({"place": None, "holder": self._holder}).encode(), self.etag)

    def _work(self, is_over: threading.Event, pause: float) -> None:
        while not is_over.wait(pause):
            with suppress(DaybreakError):  # as long as nobody takes it, it is ours: the next beat may get through
                self.renew()


def take_lease(bucket: Bucket, name: str, place: str) -> Lease | None:
    """Take the turn at a load, whose folder here is locked; None if a living process elsewhere has it.

    An owner of this very place that does not hold the folder's lock any more is dead. One of another place is, once it is silent for
    the time of a lease: that is waited for, because a load half read is worth more than these seconds.
    """
    lease, found = Lease(bucket, name, place), bucket.get(name)
    if found is None:
        lease.etag = bucket.put_new(name, lease.body())
    elif _place_of(found) in (None, place) or _falls_silent(bucket, name, found):
        lease.etag = bucket.put_over(name, lease.body(), found.etag)
    return lease if lease.etag else None


def _place_of(found: Found) -> str | None:
    """Return where the owner is; None if it gave the load back. What cannot be read is somebody's, until it is silent."""
    try:
        place: str | None = json.loads(found.body)["place"]
    except (ValueError, KeyError, TypeError):
        return ""
    return place


def _falls_silent(bucket: Bucket, name: str, found: Found) -> bool:
    """Wait until an owner has been silent for long enough, by the server's clock and then by ours; whether it is."""
    ends_at = time.monotonic() + bucket.address.lease_seconds + 1 - found.age_seconds  # its clock counts whole seconds
    while (left := ends_at - time.monotonic()) > 0:
        time.sleep(min(left, LOOK_SECONDS))
        again = bucket.get(name)
        if again is None or again.etag != found.etag:
            return False
    return True


def identify_place(root: Path) -> str:
    """Return what tells this machine's landing folder from all others; it is made once."""
    file = root / ".place"
    if not file.exists():
        root.mkdir(parents=True, exist_ok=True)
        temporary = root / f".place.{os.getpid()}.{threading.get_ident()}"
        temporary.write_text(str(ULID()))
        with suppress(FileExistsError):  # the first of several processes wins
            os.link(temporary, file)
        temporary.unlink()
    return f"{gethostname()}/{file.read_text()}"

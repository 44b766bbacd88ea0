"""A bucket of S3 as little more than names and bytes: conditional writes, files in parts, listing. Not here: what a load is.

Not through pyarrow: its S3 file system cannot write on a condition, and two machines need that to agree on anything.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines.errors import PrerequisiteError
from pipelines.landing.address import BucketAddress
from pipelines.landing.bucket_errors import code_of, translate

if TYPE_CHECKING:
    from boto3.s3.transfer import TransferConfig
    from botocore.client import BaseClient

# AWS wants parts of 5 MB at least and takes 10,000 of them. A chunk's file is some 20 MB, so most are one request.
MULTIPART_BYTES = 64 * 2**20
PART_BYTES = 16 * 2**20
TRIES = 5  # of each request, with a pause that grows to 20 s at most and is drawn by chance
CONFLICT_TRIES = 3  # two writers at one name at the very moment: AWS asks to write again
CONNECT_SECONDS, READ_SECONDS = 5, 60
DELETED_AT_ONCE = 1000  # as many as one request takes


@dataclass(frozen=True)
class Found:
    """An object. ``age_seconds`` is by the server's clock, whole seconds."""

    body: bytes
    etag: str
    age_seconds: float


class Bucket:
    """A bucket below a prefix. Raises ``PrerequisiteError`` for what a person must mend and ``LandingUnavailable`` for what may pass."""

    def __init__(self, address: BucketAddress, client: "BaseClient") -> None:
        """Remember them; nothing is asked yet."""
        self.address, self._client = address, client

    def put_new(self, name: str, body: bytes) -> str | None:
        """Write an object unless there is one of that name; return its tag, or None if another one is there.

        One with the same bytes is ours: an answer that was lost is asked for again, and then it is there already.
        """
        etag = self._put(name, body, IfNoneMatch="*")
        if etag is None and (found := self.get(name)) and found.body == body:
            return found.etag
        return etag

    def put_over(self, name: str, body: bytes, etag: str) -> str | None:
        """Replace the object that has this tag; return the new one's, or None if it is another one by now, or gone."""
        new = self._put(name, body, IfMatch=etag)
        if new is None and (found := self.get(name)) and found.body == body:
            return found.etag
        return new

    def _put(self, name: str, body: bytes, **condition: str) -> str | None:
        for attempt in range(CONFLICT_TRIES):
            with self._explaining(f"write {name}"):
                try:
                    return str(self._client.put_object(**self._at(name), Body=body, **condition)["ETag"])
                except self._client.exceptions.ClientError as error:
                    code = code_of(error)
                    if code in ("PreconditionFailed", "NoSuchKey", "404"):
                        return None
                    if code != "ConditionalRequestConflict" or attempt + 1 == CONFLICT_TRIES:
                        raise
            time.sleep(0.1 * 2**attempt)
        raise AssertionError("the loop returns or raises")

    def put_file(self, name: str, file: Path) -> None:
        """Write a file's bytes; a large one in parts, which are an object only once all of them are there."""
        with self._explaining(f"write {name}"), file.open("rb") as content:
            if file.stat().st_size <= MULTIPART_BYTES:
                self._client.put_object(**self._at(name), Body=content)
            else:
                self._client.upload_fileobj(content, **self._at(name), Config=_transfer())

    def get(self, name: str) -> Found | None:
        """Return an object; None if there is none."""
        with self._explaining(f"read {name}"):
            try:
                answer = self._client.get_object(**self._at(name))
            except self._client.exceptions.NoSuchKey:
                return None
            now = answer["ResponseMetadata"]["HTTPHeaders"].get("date")
            asked_at = parsedate_to_datetime(now) if now else datetime.now(UTC)
            return Found(answer["Body"].read(), answer["ETag"], (asked_at - answer["LastModified"]).total_seconds())

    def get_file(self, name: str, file: Path) -> bool:
        """Write an object's bytes to a file; whether there is such an object."""
        with self._explaining(f"read {name}"), file.open("wb") as out:
            try:
                self._client.download_fileobj(self.address.bucket, self.address.prefix + name, out, Config=_transfer())
            except self._client.exceptions.ClientError as error:
                if code_of(error) in ("NoSuchKey", "404"):
                    return False
                raise
        return True

    def list(self, prefix: str) -> Iterator[tuple[str, datetime]]:
        """Yield name and time of each object below a prefix."""
        start = len(self.address.prefix)
        with self._explaining(f"list {prefix}"):
            pages = self._client.get_paginator("list_objects_v2")
            for page in pages.paginate(Bucket=self.address.bucket, Prefix=self.address.prefix + prefix):
                for found in page.get("Contents", ()):
                    yield found["Key"][start:], found["LastModified"]

    def delete(self, names: Sequence[str]) -> None:
        """Delete objects, those that there are."""
        for start in range(0, len(names), DELETED_AT_ONCE):
            keys = [{"Key": self.address.prefix + name} for name in names[start : start + DELETED_AT_ONCE]]
            with self._explaining(f"delete {names[start]}"):
                answer = self._client.delete_objects(Bucket=self.address.bucket, Delete={"Objects": keys, "Quiet": True})
                if failed := answer.get("Errors"):
                    raise self._client.exceptions.ClientError({"Error": {"Code": failed[0]["Code"]}}, "DeleteObjects")

    def drop_parts(self, prefix: str, before: datetime | None = None) -> None:
        """Delete what a process that died left of files in parts: no listing of objects shows it, and it stays for ever."""
        with self._explaining(f"list {prefix}"):
            pages = self._client.get_paginator("list_multipart_uploads")
            for page in pages.paginate(Bucket=self.address.bucket, Prefix=self.address.prefix + prefix):
                for found in page.get("Uploads", ()):
                    if before and found["Initiated"] >= before:
                        continue
                    with suppress(self._client.exceptions.NoSuchUpload):  # it has just become a file, or somebody else deletes it
                        self._client.abort_multipart_upload(Bucket=self.address.bucket, Key=found["Key"], UploadId=found["UploadId"])

    def keeps_versions(self) -> bool | None:
        """Whether deleted objects stay as older versions; None if we may not know."""
        try:
            with self._explaining("read the versioning"):
                return bool(self._client.get_bucket_versioning(Bucket=self.address.bucket).get("Status"))
        except PrerequisiteError:
            return None

    def _at(self, name: str) -> dict[str, str]:
        return {"Bucket": self.address.bucket, "Key": self.address.prefix + name}

    @contextmanager
    def _explaining(self, what: str) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            raise translate(self.address, what, error) from None  # its text may quote a request with its signature


@lru_cache(maxsize=8)
def open_bucket(address: BucketAddress) -> Bucket:
    """Return this process's client of a bucket, which all threads share. Raises ``PrerequisiteError`` without the extra `s3`."""
    try:
        import boto3
        from botocore.config import Config
    except ImportError as error:
        raise PrerequisiteError(
            [f"{address} is in a bucket, and boto3 is not installed."],
            safe="Nothing was read or written.",
            remedy="Install the extra: .venv/bin/pip install -e '.[s3]', or set DAYBREAK_LANDING_URL to a folder.",
        ) from error
    is_aws = address.endpoint is None
    config = Config(
        retries={"mode": "standard", "max_attempts": TRIES},
        connect_timeout=CONNECT_SECONDS,
        read_timeout=READ_SECONDS,
        # Others than AWS may know neither buckets as host names nor checksums that nobody asked for.
        s3={} if is_aws else {"addressing_style": "path"},
        request_checksum_calculation="when_supported" if is_aws else "when_required",
        response_checksum_validation="when_supported" if is_aws else "when_required",
    )
    try:
        session = boto3.session.Session(region_name=address.region, **dict(address.credentials))
        return Bucket(address, session.client("s3", endpoint_url=address.endpoint, config=config))
    except Exception as error:
        raise translate(address, "be reached", error) from None


def _transfer() -> "TransferConfig":
    from boto3.s3.transfer import TransferConfig

    return TransferConfig(multipart_threshold=MULTIPART_BYTES, multipart_chunksize=PART_BYTES, max_concurrency=4)

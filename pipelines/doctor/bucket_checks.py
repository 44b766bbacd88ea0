"""The bucket that loads are kept in, if they are: whether all that a sync does there is allowed, and means what it must.

A probe is written beside the loads and deleted again; no load is touched or listed.
"""

from ulid import ULID

from pipelines.doctor.finding import Finding
from pipelines.landing.bucket import Bucket, open_bucket
from pipelines.settings import Settings

AREA, SUBJECT = "landing", "bucket"
OTHER_STORE = "Take a store that does, or a folder: without it two machines would write over each other's work."


def check_bucket(settings: Settings) -> list[Finding]:
    """Try it. Raises ``PrerequisiteError`` and ``LandingUnavailable`` for what a sync would meet as well."""
    if settings.landing.bucket is None:
        return []
    bucket = open_bucket(settings.landing.bucket)
    folder = f"doctor/{ULID()}/"
    try:
        findings = _write(bucket, f"{folder}probe")
    finally:
        bucket.delete([f"{folder}probe"])
        bucket.drop_parts(folder)
    if bucket.get(f"{folder}probe"):
        findings.append(Finding(AREA, SUBJECT, "problem", f"{bucket.address}: what was deleted is still there", OTHER_STORE))
    if not findings:
        told = f"{bucket.address} can be written, on condition too, read, listed and emptied"
        findings.append(Finding(AREA, SUBJECT, "ok", told))
    if bucket.keeps_versions():
        remedy = "Have a lifecycle rule delete older versions after as many days as a row that is forgotten may take to be gone."
        findings.append(Finding(AREA, "versions", "warning", f"{bucket.address} keeps older versions of what is deleted", remedy))
    return findings


def _write(bucket: Bucket, name: str) -> list[Finding]:
    etag = bucket.put_new(name, b"1")
    told: list[str] = []
    if bucket.put_new(name, b"2"):
        told.append("writes over what is there (If-None-Match is not honoured)")
    elif etag and (not bucket.put_over(name, b"3", etag) or bucket.put_over(name, b"4", etag)):
        told.append("does not compare what it replaces (If-Match is not honoured)")
    if name not in [found for found, _ in bucket.list(name)]:
        told.append("does not list what was just written")
    return [Finding(AREA, SUBJECT, "problem", f"{bucket.address} {what}", OTHER_STORE) for what in told]

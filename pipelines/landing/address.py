"""``DAYBREAK_LANDING_URL`` as what it means: a folder of this machine, or a bucket. Opens nothing."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

NAME = "DAYBREAK_LANDING_URL"
OPTIONS = ("region", "endpoint_override", "scheme", "lease_seconds")
# What AWS's own tools read; the home's `env` file may set them too.
CREDENTIALS = {
    "aws_access_key_id": "AWS_ACCESS_KEY_ID",
    "aws_secret_access_key": "AWS_SECRET_ACCESS_KEY",
    "aws_session_token": "AWS_SESSION_TOKEN",
    "profile_name": "AWS_PROFILE",
}
# Three renewals may be missed; a machine that died keeps its load from others for as long, and from itself not at all.
LEASE_SECONDS = 30


@dataclass(frozen=True)
class BucketAddress:
    """A bucket and the prefix in it that is ours. ``credentials`` are those of the environment, if it has any: no text shows them."""

    bucket: str
    prefix: str = ""  # empty, or ends with a slash
    endpoint: str | None = None
    region: str | None = None
    lease_seconds: int = LEASE_SECONDS
    credentials: tuple[tuple[str, str], ...] = field(default=(), repr=False)

    def __str__(self) -> str:
        return f"s3://{self.bucket}/{self.prefix}".rstrip("/")


@dataclass(frozen=True)
class LandingAddress:
    """The folder that loads are worked on in, and the bucket that they are kept in, if they are kept in one."""

    folder: Path
    bucket: BucketAddress | None = None


def parse_landing(url: str, home: Path, environment: Mapping[str, str], problems: list[str]) -> LandingAddress:
    """Read the URL; what is wrong with it is added to ``problems``, without its text where that may hold a secret."""
    if url.startswith("s3://"):
        return LandingAddress(home / "landing", _parse_bucket(url, environment, problems))
    if "://" in url and not url.startswith("file://"):
        problems.append(f"{NAME}: it is neither a folder nor an s3:// address")
    return LandingAddress(Path(url.removeprefix("file://")).absolute())


def _parse_bucket(url: str, environment: Mapping[str, str], problems: list[str]) -> BucketAddress:
    try:
        parts = urlsplit(url)
    except ValueError:  # its text may have a secret in it
        problems.append(f"{NAME}: it is no address of a bucket: s3://BUCKET/PREFIX")
        return BucketAddress("")
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    endpoint = options.get("endpoint_override") or None
    if "@" in parts.netloc or "@" in (endpoint or ""):
        problems.append(f"{NAME}: it has credentials in it; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or give the machine a role")
        return BucketAddress("")
    if unknown := [name for name in options if name not in OPTIONS]:
        problems.append(f"{NAME}: there is no option {', '.join(unknown)}; there are {', '.join(OPTIONS)}")
    if not re.fullmatch(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", parts.netloc):
        problems.append(f"{NAME}: {parts.netloc!r} is no name of a bucket: s3://BUCKET/PREFIX")
    scheme = options.get("scheme", "https")
    if scheme not in ("http", "https"):
        problems.append(f"{NAME}: the scheme {scheme!r} is neither http nor https")
    seconds = options.get("lease_seconds", str(LEASE_SECONDS))
    if not seconds.isascii() or not seconds.isdigit() or int(seconds) == 0:
        problems.append(f"{NAME}: lease_seconds {seconds!r} is not a whole number above zero")
        seconds = "1"
    prefix = unquote(parts.path).strip("/")
    return BucketAddress(
        bucket=parts.netloc,
        prefix=f"{prefix}/" if prefix else "",
        endpoint=endpoint if endpoint is None or "://" in endpoint else f"{scheme}://{endpoint}",
        region=options.get("region") or environment.get("AWS_REGION") or environment.get("AWS_DEFAULT_REGION"),
        lease_seconds=int(seconds),
        credentials=tuple((name, environment[variable]) for name, variable in CREDENTIALS.items() if environment.get(variable)),
    )

"""What went wrong with a bucket, in our words: who can mend it, and whether trying again may help. No secret is in them.

A server's own text is never told: it may quote the request, which is signed. Its code is.
"""

from typing import Any

from pipelines.errors import DaybreakError, LandingUnavailable, PrerequisiteError
from pipelines.landing.address import BucketAddress

SAFE = "Nothing was lost: what was committed stands, and finished chunks are kept."
RIGHTS = "s3:GetObject, s3:PutObject, s3:DeleteObject, s3:AbortMultipartUpload, s3:ListBucket and s3:ListBucketMultipartUploads"
DENIED = "does not allow it"
# The server's codes that a person must do something about: which, what they mean, and what to do.
MENDABLE = (
    (("NoSuchBucket",), "does not exist", "Make the bucket, or mend DAYBREAK_LANDING_URL."),
    (
        (
            "InvalidAccessKeyId",
            "SignatureDoesNotMatch",
            "ExpiredToken",
            "InvalidToken",
            "TokenRefreshRequired",
            "RequestTimeTooSkewed",
            "no credentials",
        ),
        "does not know us",
        "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, or give the machine a role; and look at its clock.",
    ),
    (
        ("AccessDenied", "AllAccessDisabled", "AccountProblem", "403"),
        DENIED,
        f"Allow {RIGHTS} on the bucket and on what is below the prefix.",
    ),
    (
        ("PermanentRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException", "301", "400"),
        "seems to be in another region",
        "Say which: DAYBREAK_LANDING_URL=s3://…?region=…, or AWS_REGION.",
    ),
    (
        ("NotImplemented", "501"),
        "does not write on a condition",
        "Take a store that honours If-None-Match and If-Match when it writes: without it two machines cannot share a landing.",
    ),
)
BUSY = ("SlowDown", "Throttling", "RequestLimitExceeded", "503")
# Words in the names of botocore's classes for credentials that are not there or cannot be had.
NO_CREDENTIALS = ("Credential", "ProfileNotFound", "SSO", "Token", "ConfigNotFound", "ConfigParseError")


def code_of(error: Exception) -> str:
    """Return the server's code of an error; empty for what no server said."""
    response: dict[str, Any] = getattr(error, "response", None) or {}
    return str(response.get("Error", {}).get("Code", ""))


def translate(address: BucketAddress, what: str, error: Exception) -> Exception:
    """Return what to raise for an error that was met when we wanted to ``what`` ("write x")."""
    if isinstance(error, DaybreakError):
        return error
    if type(error).__module__ == "builtins" and isinstance(error, OSError) and not isinstance(error, (ConnectionError, TimeoutError)):
        return error  # of this machine's disk; some of botocore's are OSErrors too
    code, kind = code_of(error), type(error).__name__
    met = "no credentials" if not code and any(word in kind for word in NO_CREDENTIALS) else code
    for codes, meaning, remedy in MENDABLE:
        if met in codes:
            # Of the bucket as a whole one thing is said for all tables, not one for each.
            where = f"to {what}: " if meaning == DENIED else ""
            return PrerequisiteError([f"The bucket {address} {meaning} ({where}{code or kind})."], safe=SAFE, remedy=remedy)
    return LandingUnavailable(
        f"{address} {'asks to slow down' if code in BUSY else 'does not answer as it should'} (to {what}: {code or kind}).",
        safe=SAFE,
        remedy="Run again later: it goes on where it was." + ("" if code else " Look at the network, and at endpoint_override."),
    )

"""The bucket as the landing uses it: conditions, answers that are lost, large files, and errors in words."""

import sys
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from pipelines.errors import DaybreakError, LandingUnavailable, PrerequisiteError
from pipelines.landing import bucket as module
from pipelines.landing.address import BucketAddress
from pipelines.landing.bucket import Bucket, open_bucket
from pipelines.landing.bucket_errors import translate
from tests.ports import find_free_port
from tests.s3.conftest import CREDENTIALS, Server, names


def test_of_two_that_write_a_name_at_once_one_wins(bucket: Bucket) -> None:
    tags: list[str | None] = []
    writers = [threading.Thread(target=lambda n=n: tags.append(bucket.put_new("x", f"{n}".encode()))) for n in range(8)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert len([tag for tag in tags if tag]) == 1


def test_of_two_that_replace_an_object_at_once_one_wins(bucket: Bucket) -> None:
    etag = bucket.put_new("x", b"0")
    assert etag
    tags: list[str | None] = []
    writers = [threading.Thread(target=lambda n=n: tags.append(bucket.put_over("x", f"{n}".encode(), etag))) for n in range(1, 9)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert len([tag for tag in tags if tag]) == 1
    bucket.delete(["x"])
    assert bucket.put_over("x", b"9", etag) is None


def test_a_write_whose_answer_was_lost_is_ours(bucket: Bucket, s3: Server) -> None:
    """The server wrote it and said 500; what is sent again finds it there."""
    s3.fail({"request": "PUT .*/x", "times": 1, "code": "InternalError", "is_done": True})
    etag = bucket.put_new("x", b"mine")
    assert etag
    s3.fail({"request": "PUT .*/x", "times": 1, "code": "InternalError", "is_done": True})
    assert bucket.put_over("x", b"mine too", etag)
    assert bucket.put_new("x", b"another") is None


def test_two_writers_at_the_very_moment_are_asked_to_write_again(bucket: Bucket, s3: Server) -> None:
    s3.fail({"request": "PUT .*/x", "times": 1, "code": "ConditionalRequestConflict", "status": "409 Conflict"})
    assert bucket.put_new("x", b"mine")


def test_a_server_that_asks_to_slow_down_is_waited_for(bucket: Bucket, s3: Server) -> None:
    s3.fail({"request": "PUT .*/x", "times": 2, "code": "SlowDown", "status": "503 Slow Down"})
    assert bucket.put_new("x", b"mine")
    assert len([request for request in s3.log() if request.startswith("PUT")]) == 3


def test_a_large_file_goes_in_parts_and_comes_back_whole(
    bucket: Bucket, s3: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MULTIPART_BYTES", 6 * 2**20)
    monkeypatch.setattr(module, "PART_BYTES", 5 * 2**20)
    content = bytes(range(256)) * 4 * 11 * 1024  # 11 MB
    (tmp_path / "large").write_bytes(content)
    s3.fail({"request": "PUT .*partNumber=2", "times": 1, "code": "InternalError"})
    bucket.put_file("large", tmp_path / "large")
    assert len([request for request in s3.log() if "partNumber" in request and request.startswith("PUT")]) == 3 + 1
    assert bucket.get_file("large", tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == content
    (tmp_path / "small").write_bytes(content[: 6 * 2**20])
    s3.fail()
    bucket.put_file("small", tmp_path / "small")
    assert len(s3.log()) == 1


def test_parts_that_never_became_a_file_are_deleted(bucket: Bucket) -> None:
    client, at = bucket._client, {"Bucket": bucket.address.bucket, "Key": bucket.address.prefix + "chunks/a"}
    upload = client.create_multipart_upload(**at)["UploadId"]
    client.upload_part(**at, UploadId=upload, PartNumber=1, Body=b"a name")
    bucket.drop_parts("chunks/", datetime(2000, 1, 1, tzinfo=UTC))
    assert client.list_multipart_uploads(Bucket=bucket.address.bucket).get("Uploads")
    bucket.drop_parts("chunks/")
    assert not client.list_multipart_uploads(Bucket=bucket.address.bucket).get("Uploads")


def test_more_objects_than_one_answer_lists_are_listed_and_deleted(bucket: Bucket) -> None:
    every = [f"many/{n:04d} ü%2E" for n in range(1005)]
    for name in every:
        bucket._client.put_object(Bucket=bucket.address.bucket, Key=bucket.address.prefix + name, Body=b"")
    assert names(bucket, "many/") == every
    bucket.delete(every)
    assert names(bucket) == []


CASES: list[tuple[str, str, type[DaybreakError], str]] = [
    ("AccessDenied", "403 Forbidden", PrerequisiteError, "does not allow it.*s3:PutObject"),
    ("InvalidAccessKeyId", "403 Forbidden", PrerequisiteError, "does not know us.*AWS_ACCESS_KEY_ID"),
    ("ExpiredToken", "400 Bad Request", PrerequisiteError, "does not know us"),
    ("NoSuchBucket", "404 Not Found", PrerequisiteError, "does not exist.*Make the bucket"),
    ("NotImplemented", "501 Not Implemented", PrerequisiteError, "on a condition.*If-None-Match"),
    ("SlowDown", "503 Slow Down", LandingUnavailable, "asks to slow down.*goes on where it was"),
    ("Strange", "418 Teapot", LandingUnavailable, "does not answer as it should.*Strange"),
]


@pytest.mark.parametrize("case", CASES, ids=[case[0] for case in CASES])
def test_what_a_server_refuses_is_told_with_what_to_do_and_without_its_own_words(
    bucket: Bucket, s3: Server, monkeypatch: pytest.MonkeyPatch, case: tuple[str, str, type[DaybreakError], str]
) -> None:
    code, status, kind, told = case
    monkeypatch.setattr("time.sleep", lambda _seconds: None)
    s3.fail({"request": ".", "code": code, "status": status, "message": f"signed with {CREDENTIALS['AWS_SECRET_ACCESS_KEY']}"})
    for ask in (
        lambda: bucket.put_new("x", b"1"),
        lambda: bucket.get("x"),
        lambda: names(bucket),
        lambda: bucket.delete(["x"]),
        lambda: bucket.drop_parts("x"),
    ):
        with pytest.raises(kind, match=f"(?s){told}") as raised:
            ask()
        assert "finished chunks are kept" in str(raised.value)
        assert "s3cret" not in str(raised.value)
        assert raised.value.__cause__ is None


def test_a_bucket_that_is_not_there_is_told(bucket: Bucket) -> None:
    bucket._client.delete_bucket(Bucket=bucket.address.bucket)
    with pytest.raises(PrerequisiteError, match="does not exist"):
        bucket.put_new("x", b"1")
    with pytest.raises(PrerequisiteError, match="does not exist"):
        names(bucket)


def test_an_endpoint_where_nobody_listens_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda _seconds: None)
    port = find_free_port(26000)
    nobody = open_bucket(BucketAddress("abc", endpoint=f"http://127.0.0.1:{port}", region="us-east-1", credentials=KEYS))
    with pytest.raises(LandingUnavailable, match=r"EndpointConnectionError.*Look at the network"):
        nobody.put_new("x", b"1")


def test_a_machine_without_credentials_is_told(s3: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nowhere")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nowhere")
    stranger = open_bucket(BucketAddress("abc", endpoint=f"http://127.0.0.1:{s3.port}", region="us-east-1"))
    with pytest.raises(PrerequisiteError, match=r"(?s)does not know us.*NoCredentialsError.*AWS_ACCESS_KEY_ID"):
        stranger.put_new("x", b"1")


KEYS = (("aws_access_key_id", "AKIDAYBREAK"), ("aws_secret_access_key", "s3cret/key"))


def test_an_address_shows_no_credentials() -> None:
    address = BucketAddress("abc", "p/", credentials=KEYS)
    assert "s3cret" not in f"{address} {address!r}"


@pytest.mark.parametrize("code", ["PermanentRedirect", "AuthorizationHeaderMalformed", "301"])
def test_a_bucket_in_another_region_is_told(code: str) -> None:
    from botocore.exceptions import ClientError

    found = translate(BucketAddress("abc"), "write x", ClientError({"Error": {"Code": code}}, "PutObject"))
    assert isinstance(found, PrerequisiteError)
    assert "another region" in str(found)


def test_every_error_of_botocore_becomes_ours() -> None:
    import botocore.exceptions as known

    address = BucketAddress("abc")
    classes = [value for value in vars(known).values() if isinstance(value, type) and issubclass(value, Exception)]
    assert len(classes) > 50
    for kind in classes:
        error: Any = kind.__new__(kind)
        found = translate(address, "write x", error)
        assert isinstance(found, DaybreakError), kind
        assert kind.__name__ in str(found)


def test_without_the_extra_the_remedy_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "boto3", None)
    with pytest.raises(PrerequisiteError, match=r"(?s)boto3 is not installed.*'\.\[s3\]'"):
        open_bucket(BucketAddress("without"))

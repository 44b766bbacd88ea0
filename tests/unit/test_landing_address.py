"""What DAYBREAK_LANDING_URL may be, and what is told of one that is wrong."""

from pathlib import Path

import pytest

from pipelines.landing.address import BucketAddress, LandingAddress, parse_landing

HOME = Path("/home/daybreak")


def parse(url: str, **environment: str) -> LandingAddress:
    problems: list[str] = []
    found = parse_landing(url, HOME, environment, problems)
    assert problems == []
    return found


def problems_of(url: str) -> str:
    problems: list[str] = []
    parse_landing(url, HOME, {}, problems)
    (problem,) = problems
    return problem


def test_a_folder_is_a_folder() -> None:
    assert parse("/data/landing") == parse("file:///data/landing") == LandingAddress(Path("/data/landing"))


def test_a_bucket_is_worked_on_in_the_home() -> None:
    assert parse("s3://lake/raw/daybreak") == LandingAddress(HOME / "landing", BucketAddress("lake", "raw/daybreak/"))
    assert parse("s3://lake").bucket == BucketAddress("lake")


def test_region_endpoint_and_lease_are_options() -> None:
    url = "s3://lake/p?endpoint_override=minio:9000&scheme=http&region=eu-west-1&lease_seconds=60"
    assert parse(url).bucket == BucketAddress("lake", "p/", "http://minio:9000", "eu-west-1", 60)
    assert parse("s3://lake?endpoint_override=https://minio").bucket == BucketAddress("lake", "", "https://minio")


def test_region_and_credentials_are_those_of_awss_own_variables() -> None:
    found = parse("s3://lake", AWS_REGION="eu-west-1", AWS_ACCESS_KEY_ID="a", AWS_SECRET_ACCESS_KEY="b").bucket
    assert found
    assert found.region == "eu-west-1"
    assert dict(found.credentials) == {"aws_access_key_id": "a", "aws_secret_access_key": "b"}


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("s3://key:s3cret@lake/p", "credentials in it; set AWS_ACCESS_KEY_ID"),
        ("s3://lake/p?endpoint_override=http://key:s3cret@minio", "credentials in it"),
        ("s3://lake/p?access_key=s3cret", "no option access_key"),
        ("s3:///p", "no name of a bucket"),
        ("s3://Lake_1", "no name of a bucket"),
        ("s3://lake?scheme=ftp", "neither http nor https"),
        ("s3://lake?lease_seconds=0", "whole number above zero"),
        ("gs://key:s3cret@lake/p", "neither a folder nor an s3:// address"),
    ],
)
def test_what_is_wrong_with_an_address_is_told_without_a_secret(url: str, told: str) -> None:
    problem = problems_of(url)
    assert told in problem
    assert "s3cret" not in problem

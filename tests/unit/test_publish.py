"""The publisher: whole or not at all, for readers, through crashes, and in the right order."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from pipelines.delivery.publish import Published, publish, read_published

SIZE = 2_000_000


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "dashboards" / "morning.html"


def list_files(target: Path) -> set[str]:
    return {path.name for path in target.parent.rglob("*") if path.is_file()}


def list_versions(target: Path) -> list[str]:
    return sorted(path.name for path in (target.parent / "versions").iterdir())


def test_first_publication_creates_the_folder_and_a_version(target: Path) -> None:
    assert read_published(target) is None
    published = publish(target, "grüß\r\n", keep_versions=3)
    assert published.changed
    assert published.version_path is not None
    assert published.version_path.read_bytes() == target.read_bytes() == "grüß\r\n".encode()
    assert read_published(target) == "grüß\r\n"
    assert list_files(target) == {"morning.html", published.version_path.name}


def test_same_content_writes_nothing(target: Path) -> None:
    publish(target, "a", keep_versions=3)
    before = target.stat()
    assert publish(target, b"a", keep_versions=3) == Published(path=target, version_path=None, changed=False)
    assert (target.stat().st_ino, target.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert len(list_versions(target)) == 1


def test_versions_beyond_the_newest_are_pruned_and_foreign_files_are_not(target: Path) -> None:
    neighbour = publish(target.with_name("morning-eu.html"), "eu", keep_versions=1).version_path
    (target.parent / "versions" / "notes.txt").write_text("mine")
    written = [publish(target, str(count), keep_versions=2).version_path for count in range(5)]
    assert neighbour is not None
    kept = sorted(path.name for path in written[-2:] if path)
    assert list_versions(target) == sorted([*kept, neighbour.name, "notes.txt"])


def test_a_clock_set_back_does_not_prune_the_version_just_written(target: Path) -> None:
    publish(target, "a", keep_versions=1)
    (target.parent / "versions" / "morning-29990101T000000.000000Z.html").write_text("from the future")
    published = publish(target, "b", keep_versions=1)
    assert published.version_path is not None
    assert list_versions(target) == ["morning-29990101T000000.000001Z.html"] == [published.version_path.name]


def test_at_least_the_published_version_is_kept(target: Path) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        publish(target, "a", keep_versions=0)


@pytest.mark.parametrize("fails_at", range(1, 5))
def test_any_failed_fsync_leaves_a_whole_page_and_no_temp_files(target: Path, monkeypatch: pytest.MonkeyPatch, fails_at: int) -> None:
    """Four of them: version, its folder, page, its folder. The disk is what fails, so the system call is replaced."""
    publish(target, "old", keep_versions=3)
    calls, real = iter(range(1, 100)), os.fsync

    def fail(descriptor: int) -> None:
        if next(calls) == fails_at:
            raise OSError(28, "No space left on device")
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="No space left"):
        publish(target, "new", keep_versions=3)
    assert read_published(target) == ("new" if fails_at == 4 else "old")
    assert not [name for name in list_files(target) if name.endswith(".tmp")]


def test_temp_files_of_a_crashed_publisher_are_removed_and_no_others(target: Path) -> None:
    publish(target, "a", keep_versions=3)
    versions = target.parent / "versions"
    (target.parent / ".morning.html.4711.tmp").write_text("half")
    (versions / ".morning-20261102T060000.000000Z.html.4711.tmp").write_text("half")
    (target.parent / ".morning-eu.html.4711.tmp").write_text("another page's, whose publisher may be at work")
    publish(target, "a", keep_versions=3)
    left = {name for name in list_files(target) if name.endswith(".tmp")}
    assert left == {".morning-eu.html.4711.tmp"}


def test_a_page_is_readable_by_others(target: Path) -> None:
    mask = os.umask(0o022)
    try:
        publish(target, "a", keep_versions=1)
    finally:
        os.umask(mask)
    assert target.stat().st_mode & 0o777 == 0o644


def test_a_reader_never_sees_half_a_page(target: Path) -> None:
    pages = [letter * SIZE for letter in "ab"]
    publish(target, pages[0], keep_versions=2)
    done, seen = threading.Event(), list[bool]()

    def poll() -> None:
        while not done.is_set():
            page = read_published(target)
            seen.append(page in pages)

    reader = threading.Thread(target=poll)
    reader.start()
    for count in range(1, 21):
        publish(target, pages[count % 2], keep_versions=2)
    done.set()
    reader.join()
    assert len(seen) > 20
    assert all(seen)


def test_publishers_of_one_page_wait_for_each_other(target: Path) -> None:
    publishers = [threading.Thread(target=publish, args=(target, letter * SIZE), kwargs={"keep_versions": 20}) for letter in "abcd"]
    for publisher in publishers:
        publisher.start()
    for publisher in publishers:
        publisher.join()
    assert len(list_versions(target)) == 4
    newest = target.parent / "versions" / list_versions(target)[-1]
    assert target.read_bytes() == newest.read_bytes()

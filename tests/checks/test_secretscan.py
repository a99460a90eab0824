"""The secret scan over a checkout and over its history."""

from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path

import pytest

from tests.checks.secretscan import git, main

KEY = "Ab1" + "".join(chr(97 + byte % 26) for byte in hashlib.sha256(b"a" * 9).digest() * 2)[:61]
IDENTITY = ("-c", "user.name=test", "-c", "user.email=test@example.test", "-c", "commit.gpgsign=false")


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    """A git checkout with one clean commit."""
    git(tmp_path, "init", "-q", "-b", "main")
    (tmp_path / "clean.txt").write_text("nothing here\n")
    commit(tmp_path, "first")
    return tmp_path


def commit(repo: Path, words: str) -> None:
    git(repo, "add", "-A")
    git(repo, *IDENTITY, "commit", "-q", "--allow-empty", "-m", words)


def test_a_clean_checkout_passes_and_says_what_was_read(repo: Path, capsys: pytest.CaptureFixture[str]):
    """Clean is said with the number of files behind it."""
    assert main([], repo) == 0
    assert capsys.readouterr().out == "0 secrets in 1 files.\n"


def test_a_planted_key_is_found_and_not_repeated(repo: Path, capsys: pytest.CaptureFixture[str]):
    """A tracked file with a key fails the checks; the report names place and rule, not the key."""
    (repo / "notes").mkdir()
    (repo / "notes" / "a file.txt").write_text(f"one\nkey {KEY}\n")
    commit(repo, "planted")
    assert main([], repo) == 1
    said = capsys.readouterr().out
    assert "notes/a file.txt:2: exchange key" in said
    assert KEY[:8] not in said


def test_a_file_not_yet_added_counts_and_an_ignored_one_does_not(repo: Path):
    """A key is found before it is committed; what git ignores stays the owner's own business."""
    (repo / ".gitignore").write_text("mine.txt\n")
    (repo / "mine.txt").write_text(KEY)
    assert main([], repo) == 0
    (repo / "new.txt").write_text(KEY)
    assert main([], repo) == 1


@pytest.mark.parametrize("name", [".env", "deploy.pem", "vault.sealed", "sub/server.key"])
def test_a_file_named_like_a_secret_is_refused(repo: Path, name: str, capsys: pytest.CaptureFixture[str]):
    """A .env or a key file does not get in, whatever it holds."""
    (repo / name).parent.mkdir(exist_ok=True)
    (repo / name).write_text("nothing\n")
    assert main([], repo) == 1
    assert name in capsys.readouterr().out


def test_a_key_that_was_deleted_is_still_in_the_history(repo: Path, capsys: pytest.CaptureFixture[str]):
    """Deleting a file does not take its key back: the history shows it with the commit's object."""
    (repo / "gone.txt").write_text(KEY)
    commit(repo, "planted")
    (repo / "gone.txt").unlink()
    commit(repo, "removed")
    assert main([], repo) == 0
    assert main(["--history"], repo) == 1
    assert "gone.txt@" in capsys.readouterr().out


def test_another_branch_a_tag_and_a_commit_message_are_history_too(repo: Path):
    """Nothing that a push would send is left out."""
    assert main(["--history"], repo) == 0
    git(repo, *IDENTITY, "tag", "-a", "v1", "-m", f"made with {KEY}")
    assert main(["--history"], repo) == 1
    git(repo, "tag", "-d", "v1")
    git(repo, "checkout", "-q", "-b", "side")
    commit(repo, f"fix for {KEY}")
    git(repo, "checkout", "-q", "main")
    assert main(["--history"], repo) == 1


def test_without_git_nothing_is_called_clean(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """A folder that is no checkout is not looked at, and that is said."""
    assert main([], tmp_path) == 2
    assert capsys.readouterr().out.startswith("Could not look for secrets")


def test_an_empty_checkout_is_not_called_clean(tmp_path: Path):
    """No files read means nothing known."""
    git(tmp_path, "init", "-q")
    assert main([], tmp_path) == 2


def test_a_part_of_the_history_is_not_called_clean(repo: Path, tmp_path_factory: pytest.TempPathFactory):
    """A shallow clone says that it cannot answer for what it does not have."""
    commit(repo, "second")
    shallow = tmp_path_factory.mktemp("clone") / "shallow"
    subprocess.run(["git", "clone", "-q", "--depth", "1", repo.as_uri(), str(shallow)], check=True, capture_output=True)
    assert main([], shallow) == 0
    assert main(["--history"], shallow) == 2

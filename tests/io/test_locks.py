"""Locks: one holder at a time, in one process and in several; nobody else's file is removed."""

import errno
import os
import subprocess
import sys

import pytest

from ribocast.errors import OutputError, RibocastError
from ribocast.io import locks
from ribocast.io.locks import FileLock, alone_at, is_at, take_lock
from ribocast.io.writers import alone_in

posix = pytest.mark.skipif(sys.platform == "win32", reason="no such locks")
HOLD = (
    "import sys; from ribocast.io.locks import FileLock; from pathlib import Path; lock = FileLock(Path(sys.argv[1]))"
)


def other_takes(path) -> bool:
    """Ask whether another process gets a lock."""
    code = f"{HOLD}; sys.exit(0 if lock.try_acquire() else 3)"
    return subprocess.run([sys.executable, "-c", code, path], check=False).returncode == 0


def test_a_lock_has_one_holder_until_it_is_given_back(tmp_path):
    path = tmp_path / "lock"
    one, other = FileLock(path), FileLock(path)
    assert one.try_acquire()
    assert one.try_acquire()  # it is ours already
    assert not other.try_acquire()
    assert not other_takes(path)
    one.release()
    one.release()
    assert other_takes(path)
    with other:
        assert not one.try_acquire()
    assert one.try_acquire()
    one.release()


def test_a_lock_is_waited_for(tmp_path):
    path = tmp_path / "lock"
    code = f"{HOLD}; lock.acquire(); print('held', flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", code, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout.readline() == "held\n"
        waiting = subprocess.Popen(
            [sys.executable, "-c", f"print('begun', flush=True); {HOLD}; lock.acquire(); print('mine')", path],
            stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert waiting.stdout.readline() == "begun\n"
        with pytest.raises(subprocess.TimeoutExpired):
            waiting.wait(0.5)
        holder.kill()  # the system lifts it
    assert waiting.communicate()[0] == "mine\n"


@posix
def test_a_lock_on_a_file_that_was_removed_is_not_one(tmp_path):
    path = tmp_path / "lock"
    handle = os.open(path, os.O_CREAT | os.O_RDWR)
    assert is_at(path, handle)
    path.unlink()
    assert not is_at(path, handle)
    path.write_text("")
    assert not is_at(path, handle)
    (tmp_path / "link").symlink_to(path)
    assert not is_at(tmp_path / "link", handle)
    os.close(handle)


@posix
def test_a_link_in_the_place_of_a_lock_is_not_followed(tmp_path):
    (tmp_path / "far").write_text("far")
    (tmp_path / "lock").symlink_to("far")
    with pytest.raises(OSError, match=r"."):
        FileLock(tmp_path / "lock").try_acquire()


@posix
@pytest.mark.parametrize("error", [errno.EAGAIN, errno.EACCES, errno.ENOLCK, errno.EINVAL])
def test_a_lock_is_held_by_another_or_there_are_none(tmp_path, monkeypatch, error):
    def refuse(*_):
        raise OSError(error, os.strerror(error))

    monkeypatch.setattr(locks.fcntl, "flock", refuse)
    with (tmp_path / "file").open("w") as file:
        assert take_lock(file.fileno()) is (None if error in (errno.ENOLCK, errno.EINVAL) else False)
    lock = FileLock(tmp_path / "lock")
    if error in (errno.EAGAIN, errno.EACCES):
        assert not lock.try_acquire()
        with pytest.raises(RibocastError, match=r"t\.csv: another run"), alone_at(tmp_path / "t.csv"):
            pytest.fail("it was held")
        return
    with pytest.raises(OSError, match=r".") as caught:
        lock.try_acquire()
    assert caught.value.errno == errno.ENOLCK
    # Where there are no locks, nobody is kept away.
    with alone_at(tmp_path / "t.csv"), alone_in(tmp_path):
        pass


def test_one_run_at_a_time_makes_a_file_and_leaves_no_lock(tmp_path):
    path = tmp_path / "t.csv"
    with alone_at(path):
        assert [one.name for one in tmp_path.iterdir()] == [".t.csv.lock"]
        with pytest.raises(RibocastError, match=r"t\.csv: another run"), alone_at(str(path)):
            pytest.fail("it was held")
        with alone_at(tmp_path / "other.csv"):
            pass
        assert (tmp_path / ".t.csv.lock").exists()
    assert not list(tmp_path.iterdir())
    with alone_at(path):
        pass


def test_what_forbids_a_lock_is_told_in_one_line(tmp_path):
    with pytest.raises(OutputError, match=r"no/t\.csv: No such file"), alone_at(tmp_path / "no" / "t.csv"):
        pytest.fail("it was held")


def test_one_run_at_a_time_writes_into_a_folder_which_goes_if_it_stays_empty(tmp_path):
    folder = tmp_path / "a" / "out"
    with alone_in(folder):
        assert folder.is_dir()
        with pytest.raises(RibocastError, match="another run"), alone_in(folder):
            pytest.fail("it was held")
        assert folder.is_dir()
    assert not folder.exists()
    folder.mkdir()
    with alone_in(folder):
        pass
    assert folder.is_dir()
    with alone_in(tmp_path / "new"):
        (tmp_path / "new" / "file").write_text("")
    assert (tmp_path / "new" / "file").exists()

"""The cache folder and its permissions."""

from __future__ import annotations

import os
import pwd

import pytest

from sam2_ros.system.cache import cache_folder, check_protected, private_folder


def test_cache_folder_is_absolute(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for value in ("", "cache", "./cache", "~/cache"):
        monkeypatch.setenv("XDG_CACHE_HOME", value)
        assert cache_folder() == tmp_path / "home" / ".cache" / "sam2_ros"
    monkeypatch.setenv("HOME", "home")
    with pytest.raises(OSError, match="'home' is no absolute path"):
        private_folder("kernels")
    assert not list(tmp_path.iterdir())


def test_a_group_with_other_members_is_not_trusted(tmp_path, monkeypatch):
    class Group:
        gr_name, gr_mem = "root", ["root"]

    monkeypatch.setattr("grp.getgrgid", lambda _: Group)
    tmp_path.chmod(0o775)
    os.chown(tmp_path, -1, os.getgid())
    user = pwd.getpwuid(os.geteuid())
    Group.gr_name = user.pw_name
    Group.gr_mem = []
    check_protected(tmp_path)  # with user private groups, the umask is 002
    Group.gr_mem = [user.pw_name, "somebody"]
    with pytest.raises(PermissionError, match="others may write to"):
        check_protected(tmp_path)

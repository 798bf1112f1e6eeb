"""`mutua resolver install` on a whole Debian system: this machine's own, below an overlay, so that nothing of it
changes."""
# ctest: sanitized

import hashlib
import os
import pathlib
import stat
import subprocess

import lab as laboratory
import pytest

NAME = "blog.fed.example"
STUB = "127.0.0.153"


def picture(root):
    """Everything below /etc: kind, mode, owner, size, time of change of the content, the content, attributes."""
    found = {}
    for folder, folders, files in os.walk(root / "etc"):
        for name in folders + files:
            path = pathlib.Path(folder) / name
            status = path.lstat()
            if stat.S_ISLNK(status.st_mode):
                content = os.readlink(path)
            elif stat.S_ISREG(status.st_mode):
                content = hashlib.sha256(path.read_bytes()).hexdigest()
            else:
                content = None
            attributes = {key: os.getxattr(path, key, follow_symlinks=False)
                          for key in os.listxattr(path, follow_symlinks=False) if not key.startswith("trusted.overlay")}
            when = status.st_mtime_ns if content is not None else None
            found[str(path)] = (status.st_mode, status.st_uid, status.st_gid, when, content, attributes)
    return found


@pytest.fixture
def debian(tmp_path):
    """The root folder of a Debian 12 system, with this build's programs in /usr/bin."""
    root, store = tmp_path / "root", tmp_path / "store"
    root.mkdir()
    store.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", store], check=True)
    mounted = False
    try:
        (store / "upper").mkdir()
        (store / "work").mkdir()
        mounted = subprocess.run(["mount", "-t", "overlay", "overlay", "-o",
                                  f"lowerdir=/,upperdir={store}/upper,workdir={store}/work", root],
                                 check=False).returncode == 0
        if not mounted:
            pytest.skip("NOT RUN: no overlay may be mounted here")
        # This machine's may be a mount of its own, which an overlay does not see, or not there at all.
        (root / "etc/nsswitch.conf").write_text("# mine\npasswd: files\nhosts:          files dns\n")
        (root / "etc/resolv.conf").unlink(missing_ok=True)
        (root / "etc/resolv.conf").write_text("search example.com\nnameserver 192.0.2.1\n")
        os.chmod(root / "etc/resolv.conf", 0o640)
        os.utime(root / "etc/resolv.conf", ns=(1_000_000_007, 1_000_000_007))
        yield root
    finally:
        if mounted:
            subprocess.run(["umount", "-l", root], check=True)
        subprocess.run(["umount", "-l", store], check=True)


def mutua(root, *words):
    result = subprocess.run([laboratory.programs() / "mutua", "resolver", *words, "--root", root], capture_output=True,
                            text=True, timeout=30, check=False)
    return result.returncode, result.stdout + result.stderr


def test_an_uninstall_leaves_every_file_as_it_was(debian):
    os.setxattr(debian / "etc/nsswitch.conf", "trusted.note", b"mine")
    before = picture(debian)
    code, said = mutua(debian, "install", "--stub", STUB, "--unit")
    assert code == 0, said
    assert "hosts:          files mutua dns\n" in (debian / "etc/nsswitch.conf").read_text()
    assert f"nameserver {STUB}\n" in (debian / "etc/resolv.conf").read_text()
    wish = debian / "etc/systemd/system/multi-user.target.wants/mutua-resolver.service"
    assert os.readlink(wish) == "/etc/systemd/system/mutua-resolver.service"
    installed = picture(debian)
    assert mutua(debian, "install", "--stub", STUB, "--unit")[0] == 0
    assert picture(debian) == installed, "twice is once"
    code, said = mutua(debian, "uninstall")
    assert code == 0, said
    folders = {str(wish.parent), str(wish.parent.parent), str(wish.parent.parent.parent)}
    assert {key: value for key, value in picture(debian).items() if key not in folders - before.keys()} == before
    assert mutua(debian, "uninstall")[0] == 0, "twice is once"


@pytest.mark.parametrize("target", ["../run/systemd/resolve/stub-resolv.conf", "../run/resolvconf/absent"])
def test_a_resolv_conf_that_is_somebody_elses_link_comes_back(debian, target):
    (debian / "etc/resolv.conf").unlink()
    (debian / "etc/resolv.conf").symlink_to(target)
    before = picture(debian)
    assert mutua(debian, "install", "--stub", STUB)[0] == 0
    assert not (debian / "etc/resolv.conf").is_symlink()
    assert mutua(debian, "uninstall")[0] == 0
    assert picture(debian) == before


def test_what_dhcp_has_written_meanwhile_stays(debian):
    assert mutua(debian, "install", "--stub", STUB)[0] == 0
    (debian / "etc/resolv.conf.new").write_text("nameserver 192.0.2.77\n")
    (debian / "etc/resolv.conf.new").rename(debian / "etc/resolv.conf")
    assert mutua(debian, "uninstall")[0] == 0
    assert (debian / "etc/resolv.conf").read_text() == "nameserver 192.0.2.77\n"
    assert not (debian / "etc/resolv.conf.before-mutua").exists()


def test_a_second_install_takes_back_what_dhcp_has_written(debian):
    resolv_conf = debian / "etc/resolv.conf"
    assert mutua(debian, "install", "--stub", STUB)[0] == 0
    resolv_conf.write_text("nameserver 192.0.2.77\n")
    assert mutua(debian, "install", "--stub", STUB)[0] == 0
    assert f"nameserver {STUB}\n" in resolv_conf.read_text()
    assert (debian / "etc/resolv.conf.before-mutua").read_text() == "nameserver 192.0.2.77\n"
    assert mutua(debian, "uninstall")[0] == 0
    assert resolv_conf.read_text() == "nameserver 192.0.2.77\n", "the newer one of theirs"


def test_the_units_settings_are_systemds(debian):
    assert mutua(debian, "install", "--unit")[0] == 0
    unit = debian / "etc/systemd/system/mutua-resolver.service"
    checked = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True, timeout=30, check=False)
    # The manual page, the program and the other units of this machine are not the question.
    mine = [line for line in checked.stderr.splitlines()
            if "mutua-resolver.service:" in line and "man " not in line and "not executable" not in line]
    assert not mine, checked.stderr

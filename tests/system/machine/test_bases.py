# ctest: timeout=300
"""Base disks by recipe: the same bytes twice, whoever builds, and guests that work."""

import os
import pathlib
import shutil
import subprocess

import machines
import pytest

from machine import Machine, check_file_system, expand_cow, service_image

BUILD = machines.SOURCE / "peer/vm/uml/base/build.sh"
NOBODY = 65534


def usual_image(recipe):
    """What the usual cache holds, made now if it does not."""
    done = subprocess.run([BUILD, recipe], stdout=subprocess.PIPE, text=True, check=True)
    return pathlib.Path(done.stdout.strip())


def build(*arguments, cache, uid=None):
    """The finished process of one build; its packages are those of the usual cache."""
    packages = usual_image("debian").parent.parent / "packages"
    if not cache.exists():
        shutil.copytree(packages, cache / "base/packages")
    if uid is not None:
        subprocess.run(["chown", "-R", str(uid), cache], check=True)
    return subprocess.run([BUILD, *map(str, arguments)], capture_output=True, text=True, user=uid,
                          env={"PATH": os.environ["PATH"], "MUTUA_CACHE": str(cache)})


def content(done):
    """The image that a build printed as its only line."""
    assert done.returncode == 0, done.stderr
    (line,) = done.stdout.splitlines()
    with open(line, "rb") as image:
        return image.read()


@pytest.fixture
def open_folder(tmp_path_factory):
    """A folder that every user reaches; pytest's are private."""
    folder = tmp_path_factory.mktemp("open")
    for path in (folder, *folder.parents[:2]):
        path.chmod(0o755)
    return folder


@pytest.mark.parametrize("recipe", ["busybox", "debian"])
def test_builds_give_the_same_bytes(tmp_path, recipe):
    with open(usual_image(recipe), "rb") as file:
        assert content(build(recipe, cache=tmp_path / "again")) == file.read()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root builds as somebody else")
@pytest.mark.parametrize("recipe", ["busybox", "debian"])
def test_builds_need_no_root(open_folder, recipe):
    if subprocess.run(["test", "-r", BUILD], user=NOBODY, check=False).returncode != 0:
        pytest.skip(f"{BUILD} is in a private folder")
    with open(usual_image(recipe), "rb") as file:
        assert content(build(recipe, cache=open_folder / "nobody", uid=NOBODY)) == file.read()


def test_a_recipe_of_one_s_own_brings_its_files(tmp_path):
    (tmp_path / "more/www").mkdir(parents=True)
    (tmp_path / "more/www/index.html").write_text("of my own\n")
    (tmp_path / "root").symlink_to(BUILD.parent / "root")
    recipe = tmp_path / "own.recipe"
    recipe.write_text("# mine\nname = own\nsize_mib = 24\nfiles = root\nfiles = more\n")
    done = build(recipe, cache=tmp_path / "cache")
    image = done.stdout.strip()
    assert len(content(done)) == 24 << 20
    with Machine(tmp_path, "own", image) as machine:
        assert machine.get() == "of my own\n"
    (tmp_path / "more/www/index.html").write_text("changed\n")
    assert build(recipe, cache=tmp_path / "cache").stdout.strip() != image


@pytest.mark.parametrize("line, why", [
    ("size_mib = lots", ":3: not understood"),
    ("colour = blue", ":3: not understood"),
    ("files = nowhere", ":3: not understood"),
    ("packages = nginx", "packages without a source"),
    ("source = http://127.0.0.1:9/debian bookworm main\npackages = nginx", "cannot read the indices"),
    ("size_mib = 1", "does not fit"),
])
def test_bad_recipes_are_refused_and_leave_nothing(tmp_path, line, why):
    recipe = tmp_path / "bad.recipe"
    (tmp_path / "root").symlink_to(BUILD.parent / "root")
    recipe.write_text(f"name = bad\nsize_mib = 24\n{line}\nfiles = root\n")
    done = build(recipe, cache=tmp_path / "cache")
    assert done.returncode == 1 and done.stdout == ""
    assert why in done.stderr
    assert [path.name for path in (tmp_path / "cache/base").iterdir()] == ["packages"]


START = """#!/bin/sh
mkdir -p /tmp/www
python3 -c 'import sqlite3, ssl, hashlib, json, ctypes; print(sqlite3.sqlite_version)' > /tmp/www/python
sqlite3 /var/visits.db 'create table if not exists visit (n); insert into visit values (7);
                        select sum(n) from visit' > /tmp/www/sqlite
cat > /etc/nginx/nginx.conf <<'END'
daemon off;
worker_processes 1;
events {}
http { access_log off; server { listen 80; root /tmp/www; } }
END
exec nginx
"""


def test_a_debian_guest_serves_with_nginx_python_and_sqlite_and_stops_cleanly(tmp_path):
    image = service_image(usual_image("debian"), {"etc/mutua/start": START}, tmp_path / "service.img")
    disk = None
    for boot, total in ((1, "7"), (2, "14")):
        with Machine(tmp_path, f"nginx-{boot}", image, 128, disk=disk) as machine:
            assert machine.get("/sqlite").strip() == total
            assert machine.get("/python").startswith("3.")
            machine.stop()
        disk = machine.cow
        expand_cow(disk, image, tmp_path / f"disk-{boot}.img")
        check_file_system(tmp_path / f"disk-{boot}.img")

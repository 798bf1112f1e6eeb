# ctest: timeout=120
# ctest: sanitized
"""What a person gets to see: help, clear errors, exit statuses."""

import os
import re
import stat
import subprocess

import pytest

import machines
from daemons import program
from federation import mutua, mutua_fails

GOOD = """\
state = {folder}/state
zone = fed.test
authority = 127.0.0.1:53
address = 127.0.1.1
"""


def run(name, *arguments):
    return subprocess.run([program(name), *map(str, arguments)], capture_output=True, text=True, timeout=30)


def test_every_command_has_its_help():
    usage = run("mutua", "--help").stdout
    commands = re.findall(r"^  ([a-z]+(?: [a-z]+)?)  ", usage, re.MULTILINE)
    assert len(commands) >= 18
    for command in commands:
        done = run("mutua", *command.split(), "--help")
        assert done.returncode == 0
        assert done.stdout.startswith(f"usage: mutua {command}")
    assert run("mutua", "--version").stdout.startswith("mutua ")
    assert run("mutua-peer", "--version").stdout.startswith("mutua-peer ")
    assert "--check-config" in run("mutua-peer", "--help").stdout


@pytest.mark.parametrize("arguments", [[], ["nonsense"], ["host"], ["host", "a", "b"], ["ps", "--nonsense"],
                                       ["publish", "a", "--port"], ["--nonsense", "x", "ps"]])
def test_a_wrong_command_line_ends_with_status_2(arguments):
    done = run("mutua", *arguments)
    assert done.returncode == 2
    assert "usage:" in done.stderr


def test_a_daemon_that_is_away_is_said_so(tmp_path):
    assert "the daemon does not run" in mutua_fails("--peer-socket", tmp_path / "none", "ps")
    assert "the daemon does not run" in mutua_fails("--resolver-socket", tmp_path / "none",
                                                    "lookup", "blog.fed.test:80")


def test_a_key_is_made_once_and_for_its_owner_alone(tmp_path):
    state = tmp_path / "state"
    peer = mutua("peer", "init", "--state", state).strip()
    assert re.fullmatch(r"[a-z2-7]{32}", peer)
    assert stat.S_IMODE(os.stat(state / "peer.key").st_mode) == 0o600
    before = (state / "peer.key").read_bytes()
    assert "there already" in mutua_fails("peer", "init", "--state", state)
    assert (state / "peer.key").read_bytes() == before


@pytest.mark.parametrize("change, complaint", [
    ("", None),
    ("lease = 1ms\n", r":5: lease: "),
    ("address = ::1\n", r":4: address: machines are mapped to IPv4"),
    ("address = nonsense\n", r"address: not an address"),
    ("host_ports = 5\n", r":5: host_ports: "),
    ("capacity = many\n", r":5: capacity: not a number"),
    ("allow_outbound = perhaps\n", r":5: allow_outbound: must be yes or no"),
    ("colour = blue\n", r":5: unknown key 'colour'"),
    ("zone = other\n", r":5: zone is given twice"),
])
def test_configuration_errors_name_file_and_line(tmp_path, change, complaint):
    path = tmp_path / "peer.conf"
    path.write_text(GOOD.format(folder=tmp_path) + change)
    done = run("mutua-peer", "--config", path, "--check-config")
    assert done.returncode == (1 if complaint else 0), done.stderr
    if complaint:
        assert str(path) in done.stderr
        assert re.search(complaint, done.stderr), done.stderr


def test_a_daemon_without_a_key_says_how_to_make_one(tmp_path):
    path = tmp_path / "peer.conf"
    path.write_text(GOOD.format(folder=tmp_path))
    done = run("mutua-peer", "--config", path)
    assert done.returncode == 1
    assert "mutua peer init" in done.stderr


def test_a_disk_holds_what_was_put_into_it(tmp_path):
    site = tmp_path / "site"
    (site / "deep" / "er").mkdir(parents=True)
    (site / "index.html").write_text("top\n")
    (site / "deep" / "er" / "page.html").write_text("deep\n")
    start = tmp_path / "start"
    start.write_text("#!/bin/sh\nexec httpd -f\n")
    start.chmod(0o755)
    disks = [tmp_path / "first.img", tmp_path / "second.img"]
    for disk in disks:
        mutua("disk", "create", "--base", machines.base_image(), "--output", disk,
              "--add", f"{site}=/www", "--add", f"{start}=/etc/mutua/start", "--remove", "/etc/motd")

    def debugfs(command):
        return subprocess.run(["/usr/sbin/debugfs", "-R", command, disks[0]], capture_output=True, text=True,
                              check=True).stdout

    assert debugfs("cat /www/index.html") == "top\n"
    assert debugfs("cat /www/deep/er/page.html") == "deep\n"
    assert re.search(r"Mode:\s+0755", debugfs("stat /etc/mutua/start"))
    assert disks[0].read_bytes() == disks[1].read_bytes()
    assert "is not possible" in mutua_fails("disk", "create", "--base", machines.base_image(), "--output",
                                            tmp_path / "x.img", "--add", f'{start}=/etc/"x')
    assert not (tmp_path / "x.img").exists()

# ctest: timeout=900
"""`mutua resolver install` on a whole Debian 12, and the units of all three daemons under a real systemd.

The system is debootstrap's with this build's programs. It boots in QEMU with Debian's kernel, is its own
authority, peer and client, boots a second time, and is then left as it was. The first run fetches Debian's
packages; the cache keeps the result."""

import hashlib
import os
import pathlib
import shutil
import stat
import subprocess

import pytest

import debian_system
from debian_machine import Machine

SOURCE = pathlib.Path(os.environ["MUTUA_SOURCE"])
PROGRAMS = ("mutua", "mutua-authority", "mutua-machine", "mutua-peer", "mutua-resolver")
DAEMONS = ("mutua-authority", "mutua-resolver", "mutua-peer")
STUB = "127.0.0.153"
AUTHORITY, PEER = "192.0.2.53", "192.0.2.11"  # addresses of the machine itself
SERVICE, PAGE = "shop.fed.example", "Open all night.\n"
SECRET = "/run/credentials/mutua-authority.service/operator.secret"

FILES = {
    "etc/mutua/authority.conf": f"""\
zone = fed.example
database = /var/lib/mutua/zone.sqlite
zone_file = /etc/mutua/zone
listen = {AUTHORITY}:53
tsig_key = operator hmac-sha256 {SECRET}
""",
    "etc/mutua/zone": f"""\
$ORIGIN fed.example.
$TTL 60
@ SOA ns host 1 3600 600 86400 5
@ NS ns
ns A {AUTHORITY}
shop TXT "v=1" "manifest=sha256:00" "ports=80/tcp" "admission=open"
_80._tcp.shop SRV 0 0 8080 a.peers
a.peers A {PEER}
""",
    "etc/mutua/resolver.conf": f"zone = fed.example\nauthority = {AUTHORITY}\nstub_listen = {STUB}\n",
    "etc/mutua/peer.conf": f"""\
state = /var/lib/mutua-peer
zone = fed.example
authority = {AUTHORITY}:53
address = {debian_system.ADDRESS}
""",
    "etc/mutua/operator.secret": "c2VjcmV0IG9mIGEgdGVzdCwgbm90IG9mIGFueWJvZHkgZWxzZSE=\n",
    "etc/systemd/system/mutua-authority.service.d/secret.conf":
        "[Service]\nLoadCredential=operator.secret:/etc/mutua/operator.secret\n",
    "etc/systemd/network/more.network": f"[Match]\nName=lo\n[Network]\nAddress={AUTHORITY}/32\nAddress={PEER}/32\n",
    "etc/systemd/system/web.service": f"""\
[Unit]
Wants=network-online.target
After=network-online.target
[Service]
ExecStart=/usr/bin/busybox httpd -f -p {PEER}:8080 -h /srv/web
[Install]
WantedBy=multi-user.target
""",
    "srv/web/index.html": PAGE,
}
# What a boot writes by itself, with or without Mutua, and what the daemons own.
WRITTEN_BY_THE_BOOT = ("etc/machine-id", "etc/.updated", "etc/.pwd.lock", "var/.updated", "var/lib/systemd/",
                       "var/log/", "var/lib/mutua-peer", "var/lib/private", "run/", "tmp/", "var/tmp/", "dev/")


def manifest(root):
    """Kind, mode, owner, size, time and content of every file; of folders mode and owner."""
    found = {}
    for folder, folders, files in os.walk(root):
        for name in folders + files:
            path = pathlib.Path(folder) / name
            status = path.lstat()
            about = [stat.filemode(status.st_mode), status.st_uid, status.st_gid]
            if stat.S_ISLNK(status.st_mode):
                about.append(os.readlink(path))
            elif stat.S_ISREG(status.st_mode):
                about += [status.st_size, int(status.st_mtime), hashlib.sha256(path.read_bytes()).hexdigest()]
            found[str(path.relative_to(root))] = about
    return found


def add_mutua(root):
    """What a package would bring, and an operator write."""
    built = pathlib.Path(os.environ["MUTUA_BIN"])
    for name in PROGRAMS:
        shutil.copy(built / name, root / "usr/bin")
    shutil.copy(pathlib.Path(os.environ["MUTUA_LIB"]) / "libnss_mutua.so.2", root / "usr/lib/x86_64-linux-gnu")
    for name, content in FILES.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    (root / "etc/mutua/operator.secret").chmod(0o600)
    units = root / "etc/systemd/system"
    for unit in ("authority/mutua-authority.service", "peer/mutua-peer.service"):
        shutil.copy(SOURCE / unit, units)
    sockets = (SOURCE / "authority/mutua-authority.socket").read_text()
    assert f"ListenStream={AUTHORITY}:853\n" in sockets
    (units / "mutua-authority.socket").write_text(sockets.replace(f"ListenStream={AUTHORITY}:853\n", ""))
    inside(root, "systemctl", "-q", "enable", "mutua-authority.socket", "mutua-authority", "mutua-peer", "web")
    inside(root, "mutua", "peer", "init", "--state", "/var/lib/mutua-peer")
    if "MUTUA_KERNEL" in os.environ:
        (root / "opt/machines").mkdir()
        shutil.copy2(os.environ["MUTUA_KERNEL"], root / "opt/machines/kernel")
        shutil.copy2(os.environ["MUTUA_BASE_IMAGE"], root / "opt/machines/base.img")


def inside(root, *words):
    done = subprocess.run(["chroot", root, *words], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"


def mutua(root, *words):
    program = pathlib.Path(os.environ["MUTUA_BIN"]) / "mutua"
    subprocess.run([program, "resolver", *words, "--root", root], check=True, capture_output=True, timeout=60)


class Prepared:
    """A root folder with Mutua in it, installed, and what was there the moment before."""

    def __init__(self, folder, system):
        self.folder = folder
        self.kernel = system.kernel
        self.root = folder / "root"
        system.copy_to(self.root)
        add_mutua(self.root)
        self.before = manifest(self.root)
        mutua(self.root, "install", "--stub", STUB, "--unit")


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    if os.geteuid() != 0:
        pytest.skip("NOT RUN: making a root folder takes root")
    try:
        system = debian_system.build()
    except debian_system.Unavailable as problem:
        pytest.skip(f"NOT RUN: no Debian to install upon: {problem}")
    folder = tmp_path_factory.mktemp("debian")
    yield Prepared(folder, system)
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def machine(prepared):
    with Machine(prepared.root, prepared.kernel, prepared.folder) as running:
        assert running.await_boot() == "running", running.run("systemctl --failed; journalctl -b -p warning", check=False)
        yield running


def serves(machine):
    """Everything that this machine is for, by the programs of everybody."""
    machine.run("systemctl is-active " + " ".join(DAEMONS) + " mutua-authority.socket")
    by_module = machine.run(f"getent ahosts {SERVICE}").split()[0]
    assert by_module.startswith("127."), by_module
    by_stub = machine.run(f"busybox nslookup -type=a {SERVICE}")
    assert f"Server:\t\t{STUB}" in by_stub and f"Address: {by_module}" in by_stub
    assert machine.run(f"curl -sS --max-time 20 http://{SERVICE}/") == PAGE


def test_what_never_ran_is_uninstalled_to_the_byte(prepared, tmp_path):
    root = tmp_path / "root"
    subprocess.run(["cp", "-a", "--reflink=auto", prepared.root, root], check=True)
    assert manifest(root) != prepared.before
    mutua(root, "uninstall")
    assert manifest(root) == prepared.before
    shutil.rmtree(root)


def test_a_boot_brings_everything_up(machine):
    serves(machine)
    assert "redirect" in machine.run("mutua resolver status | grep 'redirect .*kernel'"), "the unit's rights suffice"


def test_systemd_understands_every_line_of_the_units(machine):
    said = machine.run("journalctl -b --no-pager _PID=1 + SYSLOG_IDENTIFIER=systemd")
    assert not [line for line in said.splitlines() if "mutua" in line and ("nknown" in line or "gnoring" in line)]


def test_the_authority_reloads_and_is_started_by_the_question(machine):
    machine.run("systemctl reload mutua-authority")
    machine.run("journalctl -b --no-pager -u mutua-authority | grep authority.reloaded")
    machine.run("systemctl stop mutua-authority.service 2> /dev/null && ! systemctl is-active mutua-authority")
    answer = machine.run(f"busybox nslookup -type=a a.peers.fed.example {AUTHORITY}")
    assert PEER in answer
    machine.run("systemctl is-active mutua-authority")


def test_who_is_killed_comes_back_however_often(machine):
    machine.run("systemctl kill -s KILL " + " ".join(DAEMONS))
    for name in DAEMONS:
        machine.run(f"""timeout 60 sh -c 'until [ "$(systemctl show {name} -P NRestarts)" = 1 ] &&
                                                systemctl -q is-active {name}; do sleep 0.1; done'""")
        assert machine.run(f"systemctl show {name} -P StartLimitIntervalUSec").strip() == "0"
    serves(machine)


def test_a_peer_in_its_sandbox_runs_and_limits_machines(machine):
    if "MUTUA_KERNEL" not in os.environ:
        pytest.skip("NOT RUN: MUTUA_KERNEL names no kernel for machines")
    machine.run("mutua machine boot bare --kernel /opt/machines/kernel --base /opt/machines/base.img --port 80/tcp")
    # It answers for its address before its web server does for its port.
    machine.run("curl -sf --retry 60 --retry-delay 1 --retry-all-errors "
                "http://$(mutua machine list | grep -o '127.0.0.1:[0-9]*')/")
    machine.run("mutua snapshot take bare moment")
    machine.run("mutua snapshot resume moment copy")
    assert machine.run("mutua machine list").count(" running ") == 2
    group = "/sys/fs/cgroup/system.slice/mutua-peer.service/mutua-machine-*"
    for file, unlimited in (("memory.max", "max"), ("cpu.max", "max 100000"), ("pids.max", "max")):
        limits = machine.run(f"cat {group}/{file}").splitlines()
        assert any(limit != unlimited for limit in limits), (file, limits)
    machine.run(f"grep -q . {group}/cgroup.procs")


@pytest.mark.parametrize("unit, most", [("mutua-authority", 1.5), ("mutua-resolver", 2.9), ("mutua-peer", 5.0)])
def test_the_sandboxes_are_as_tight_as_they_were(machine, unit, most):
    said = machine.run(f"systemd-analyze security --no-pager {unit}.service")
    assert float(said.partition("Overall exposure level for")[2].split()[1]) <= most, said


def test_after_a_reboot_it_works_again(machine):
    assert machine.reboot() == "running"
    serves(machine)


def test_all_end_cleanly_and_none_has_complained(machine):
    machine.run("systemctl stop mutua-authority.socket " + " ".join(DAEMONS))
    for name in DAEMONS:
        ended = machine.run(f"systemctl show {name} -p Result -p ExecMainStatus -p ActiveState").split()
        assert sorted(ended) == ["ActiveState=inactive", "ExecMainStatus=0", "Result=success"], name
    # Our own lines say how grave they are; systemd's about the units have their priority.
    said = machine.run("journalctl --no-pager -o cat -u 'mutua-*'")
    assert not [line for line in said.splitlines() if "Z error " in line or "machine.unlimited" in line], said
    assert "No entries" in machine.run("journalctl --no-pager -p err -u 'mutua-*'")


def test_after_an_uninstall_every_file_is_as_it_was(machine, prepared):
    machine.run("mutua resolver uninstall")
    machine.power_off()
    after_folder = prepared.folder / "after"
    machine.take_root(after_folder)
    after = manifest(after_folder)

    def by_the_boot(path):
        return any(path == one.rstrip("/") or path.startswith(one) for one in WRITTEN_BY_THE_BOOT)

    changed = {path: (about, after.get(path)) for path, about in prepared.before.items()
               if after.get(path) != about and not by_the_boot(path)}
    assert not changed
    new = {path for path in after.keys() - prepared.before.keys() if not by_the_boot(path)}
    assert new <= {"lost+found", "var/lib/mutua", "var/lib/mutua-resolver"}

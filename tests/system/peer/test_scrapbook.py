# ctest: timeout=600
# ctest: sanitized
"""The scrapbook: machines that are kept as they run, passed on, and go on elsewhere."""

import hashlib
import json
import os
import subprocess
import threading
import time
import urllib.request

import pytest

import machines
from daemons import program, wait_until
from federation import fetch

# ThreadSanitizer runs a thread of its own in every program; with it, mutua-machine cannot enter the
# jail's mount namespace, which a take needs.
pytestmark = pytest.mark.skipif("/tsan/" in os.environ["MUTUA_BIN"],
                                reason="ThreadSanitizer's thread keeps mutua-machine out of the jail")

SERVICE = "count.fed.test"
# Counts its visits in the guest's memory: /run is a tmpfs.
COUNTER = """#!/bin/sh
read -r count < /run/count || count=0
echo $((count + 1)) > /run/count
read -r uptime idle < /proc/uptime
printf 'Content-Type: text/plain\\r\\n\\r\\n%s %s %s\\n' $((count + 1)) "$(pidof httpd | xargs -n 1 | sort -n | head -n 1)" "${uptime%.*}"
"""


class Owner:
    """A peer, as one who makes machines and snapshots on it."""

    def __init__(self, federation, name="owner"):
        self.federation = federation
        self.peer = federation.add_peer(name)

    def boot_base(self, snapshot="base"):
        """A snapshot of the bare base machine: what all others stand on."""
        self.peer.run("machine", "boot", "bare", "--kernel", self.federation.kernel,
                      "--base", self.federation.base, "--port", "80/tcp")
        wait_until(lambda: self.answers("bare", "/"), 30, "the base machine answers")
        self.peer.run("snapshot", "take", "bare", snapshot, "--leave")
        self.peer.run("machine", "stop", "--discard", "bare")

    def start_counter(self, machine="web", snapshot="base"):
        self.peer.run("snapshot", "resume", snapshot, machine)
        self.inside(machine, "mkdir /www/cgi-bin; cat > /www/cgi-bin/count; "
                    "chmod +x /www/cgi-bin/count; echo 0 > /run/count", input=COUNTER)

    def inside(self, machine, command, input=None):
        options = ["--stdin"] if input else []
        done = subprocess.run([program("mutua"), "--peer-socket", self.peer.socket, "machine", "run",
                               *options, machine, command], input=input, text=True, timeout=60,
                              capture_output=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def machines(self):
        return {one["name"]: one for one in json.loads(self.peer.run("machine", "list", "--json"))}

    def snapshots(self):
        return {one["name"]: one for one in json.loads(self.peer.run("snapshot", "list", "--json"))}

    def port(self, machine):
        return self.machines()[machine]["ports"][0]["hostPort"]

    def visit(self, machine):
        return visit("127.0.0.1", self.port(machine))

    def answers(self, machine, path):
        try:
            return fetch("127.0.0.1", self.port(machine), path)[0] == 200
        except OSError:
            return False

    def blobs(self):
        return {path.name for path in (self.peer.state / "blobs" / "sha256").iterdir()}


class Client(threading.Thread):
    """Asks one server after the other, of a list that it fetches anew all the time."""

    def __init__(self, federation):
        super().__init__(daemon=True)
        self.federation = federation
        self.addresses = {peer.id: peer.address for peer in federation.peers}
        self.asked, self.failures = 0, []
        self.ended = threading.Event()
        self.start()

    def run(self):
        servers, fetched = [], 0.0
        while not self.ended.wait(0.02):
            if time.monotonic() - fetched > 0.1:
                servers = list(self.federation.served(SERVICE).items())
                fetched = time.monotonic()
            if len(servers) != len(self.addresses):
                self.failures.append((self.asked, servers))
                continue
            peer, port = servers[self.asked % len(servers)]
            self.asked += 1
            try:
                visit(self.addresses[peer], port)
            except (OSError, AssertionError) as failure:
                self.failures.append((self.asked, str(failure)))

    def stop(self):
        self.ended.set()
        self.join()


def visit(address, port):
    """(count, process id of the server, uptime) as the counter says them."""
    status, body = fetch(address, port, "/cgi-bin/count")
    assert status == 200, body
    return [int(word) for word in body.split()]


@pytest.fixture
def owner(federation):
    owner = Owner(federation)
    owner.boot_base()
    return owner


def test_a_running_machine_is_published_and_goes_on_at_other_peers(federation, owner):
    owner.start_counter()
    for wanted in range(1, 6):
        count, server, uptime = owner.visit("web")
        assert count == wanted
    owner.peer.run("snapshot", "take", "web", "web-1")
    assert owner.visit("web")[:2] == [6, server], "the machine itself goes on"
    taken = owner.snapshots()["web-1"]
    assert taken["parent"] == "base" and taken["depth"] == 2
    delta = taken["memoryBytes"] + taken["diskBytes"]
    print(f"delta of the service: {taken['memoryBytes']} + {taken['diskBytes']} octets")
    assert delta <= 30_000 * 4

    host = federation.add_peer("host")
    owner.peer.run("publish", SERVICE, "--from-snapshot", "web-1", "--check", "http:/", "--every", "1s")
    host.run("host", SERVICE)
    federation.await_served(SERVICE, [owner.peer, host])
    for peer in (owner.peer, host):
        there = visit(peer.address, peer.host_port(SERVICE))
        assert there[:2] == [6, server], "each replica goes on from the snapshot's count"
        assert uptime <= there[2] <= uptime + 60, "as if no time had passed"
        assert visit(peer.address, peer.host_port(SERVICE))[0] == 7
    # The agent obeys nobody there: the port is not even mapped.
    assert [one["guestPort"] for one in host.ps()[SERVICE]["ports"]] == [80]

    # A later snapshot of the owner's machine takes their place; somebody answers all the time.
    for _ in range(44):
        owner.visit("web")
    owner.peer.run("snapshot", "take", "web", "web-2")
    client = Client(federation)
    owner.peer.run("publish", SERVICE, "--from-snapshot", "web-2", "--update")

    def rolled_over():
        for peer_id, port in federation.served(SERVICE).items():
            address = next(p.address for p in federation.peers if p.id == peer_id)
            if visit(address, port)[0] <= 50:
                return False
        return len(federation.served(SERVICE)) == 2

    def rolled_over_without_error():
        try:
            return rolled_over()
        except OSError:
            return False

    wait_until(rolled_over_without_error, 60, "both replicas go on from the newer snapshot")
    # Also those who have the old list yet.
    wait_until(lambda: client.asked > 60, 30, "60 visits")
    client.stop()
    assert not client.failures
    # Then replicas of the snapshot before would be served no more.
    wait_until(lambda: "previous=" not in str(federation.authority.rdatas(SERVICE + ".", "TXT")), 30,
               "the end of the roll-over")


def test_snapshots_are_kept_side_by_side_in_chains(owner):
    owner.start_counter()
    for number in (1, 2):
        owner.visit("web")
        owner.peer.run("snapshot", "take", "web", f"step-{number}", *(["--leave"] if number == 2 else []))
    owner.peer.run("machine", "stop", "--discard", "web")
    owner.peer.run("snapshot", "resume", "step-2", "later")
    assert owner.visit("later")[0] == 3
    owner.peer.run("snapshot", "take", "later", "step-3")
    steps = owner.snapshots()
    assert [steps[f"step-{n}"]["depth"] for n in (1, 2, 3)] == [2, 2, 3]
    assert steps["step-3"]["parent"] == "step-2" and steps["step-3"]["generation"] == 2

    # Each is there, whatever was taken or resumed since.
    owner.peer.run("snapshot", "resume", "step-1", "again")
    assert owner.visit("again")[0] == 2
    assert owner.visit("later")[0] == 4
    for name in ("base", "step-1", "step-2", "step-3"):
        assert "is whole" in owner.peer.run("snapshot", "verify", name)

    content = steps["step-3"]["contentBytes"]
    owner.peer.run("snapshot", "expand", "step-3")
    assert owner.snapshots()["step-3"]["depth"] == 1
    owner.peer.run("snapshot", "delta", "step-3", "step-1")
    again = owner.snapshots()["step-3"]
    assert again["depth"] == 3 and again["contentBytes"] == content
    owner.peer.run("snapshot", "resume", "step-3", "third")
    assert owner.visit("third")[0] == 4

    owner.peer.run("machine", "stop", "--discard", "again")
    before = owner.blobs()
    owner.peer.run("snapshot", "remove", "step-1")
    assert owner.blobs() < before
    assert "no snapshot is called" in owner.peer.fails("snapshot", "resume", "step-1", "never")
    # What stood on it holds all that it needs.
    assert "is whole" in owner.peer.run("snapshot", "verify", "step-3")


def test_a_damaged_snapshot_is_refused_and_nothing_is_left(owner):
    layer = next(one for one in json.loads(owner.peer.run("snapshot", "show", "base", "--json"))["layers"]
                 if "memory" in one["mediaType"])
    blob = owner.peer.state / "blobs" / "sha256" / layer["digest"].removeprefix("sha256:")
    blob.chmod(0o644)
    content = bytearray(blob.read_bytes())
    content[len(content) // 2] ^= 1
    blob.write_bytes(content)
    assert "damaged" in owner.peer.fails("snapshot", "verify", "base")


def test_freezing_stopping_and_booting_again(owner):
    owner.start_counter()
    owner.visit("web")
    owner.peer.run("machine", "freeze", "web")
    assert owner.machines()["web"]["state"] == "frozen"
    with pytest.raises(OSError):
        fetch("127.0.0.1", owner.port("web"), "/cgi-bin/count", timeout=1)
    assert "is frozen" in owner.peer.fails("snapshot", "take", "web", "never")
    owner.peer.run("machine", "continue", "web")
    wait_until(lambda: owner.answers("web", "/"), 10, "it answers again")
    owner.peer.run("machine", "stop", "web")
    assert owner.machines()["web"]["state"] == "stopped"
    owner.peer.run("machine", "boot", "web")
    wait_until(lambda: owner.answers("web", "/cgi-bin/count"), 30, "it serves after the boot")
    assert owner.visit("web")[0] < 10, "its disk stayed, its memory went"
    assert "mutua: stopping" in owner.peer.run("machine", "console", "web")


def test_a_killed_daemon_leaves_whole_snapshots_and_no_machine(owner):
    owner.start_counter()
    owner.visit("web")
    owner.peer.run("snapshot", "take", "web", "kept")
    owner.peer.kill()
    owner.peer.start()
    assert owner.machines()["web"]["state"] == "stopped"
    assert set(owner.snapshots()) == {"base", "kept"}
    owner.peer.run("snapshot", "resume", "kept", "again")
    assert owner.visit("again")[0] == 2


def test_bad_names_and_unknown_ones_are_refused_with_a_reason(owner):
    assert "is no name" in owner.peer.fails("snapshot", "resume", "base", "No/Name")
    assert "no snapshot is called" in owner.peer.fails("snapshot", "show", "absent")
    assert "no machine is called" in owner.peer.fails("snapshot", "take", "absent", "any")
    owner.peer.run("snapshot", "resume", "base", "twice")
    assert "there is a machine twice" in owner.peer.fails("snapshot", "resume", "base", "twice")
    owner.peer.run("snapshot", "take", "twice", "one")
    assert "there is a snapshot one" in owner.peer.fails("snapshot", "take", "twice", "one")
    assert "not published by this peer" in owner.peer.fails(
        "publish", SERVICE, "--from-snapshot", "one", "--update")


def test_others_tools_read_and_verify_a_published_machine(federation, owner, tmp_path):
    owner.start_counter()
    owner.peer.run("snapshot", "take", "web", "web-1")
    owner.peer.run("publish", SERVICE, "--from-snapshot", "web-1")
    repository = f"{owner.peer.address}:{owner.peer.exchange_port}/{SERVICE}"

    def run(*command, **options):
        return subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=60,
                              **options)

    inspected = run("skopeo", "inspect", "--tls-verify=false", "--raw", f"docker://{repository}:latest")
    assert inspected.returncode == 0, inspected.stderr
    manifest = json.loads(inspected.stdout)
    kinds = [layer["mediaType"] for layer in manifest["layers"]]
    assert kinds.count("application/vnd.mutua.memory.v1+zstd") == 2
    copied = run("skopeo", "copy", "--src-tls-verify=false", f"docker://{repository}:latest",
                 f"oci:{tmp_path}/copy:web")
    assert copied.returncode == 0, copied.stderr
    blobs = {path.name for path in (tmp_path / "copy" / "blobs" / "sha256").iterdir()}
    assert {layer["digest"].removeprefix("sha256:") for layer in manifest["layers"]} <= blobs

    # The signature is a referrer: an SSHSIG over the text of the manifest's digest.
    digest = "sha256:" + hashlib.sha256(inspected.stdout.encode()).hexdigest()
    base = f"http://{repository.replace('/', '/v2/', 1)}"
    referrers = json.loads(urllib.request.urlopen(f"{base}/referrers/{digest}", timeout=10).read())
    described = urllib.request.urlopen(
        f"{base}/manifests/{referrers['manifests'][0]['digest']}", timeout=10).read()
    blob = json.loads(described)["layers"][0]["digest"]
    signature = tmp_path / "manifest.sig"
    signature.write_bytes(urllib.request.urlopen(f"{base}/blobs/{blob}", timeout=10).read())
    allowed = tmp_path / "allowed"
    allowed.write_text(f"owner {json.loads(owner.peer.run('peer', 'status', '--json'))['key']}\n")
    verify = ["ssh-keygen", "-Y", "verify", "-f", allowed, "-I", "owner", "-n", "mutua-snapshot",
              "-s", signature]
    assert run(*verify, input=digest).returncode == 0
    assert run(*verify, input=digest.replace("a", "b")).returncode != 0


@pytest.mark.skipif(not machines.qemu_kernel(), reason="no QEMU here")
def test_the_second_engine_by_the_same_commands(federation):
    owner = Owner(federation)
    kernel = machines.qemu_kernel()
    federation.trust(kernel)
    owner.peer.run("machine", "boot", "bare", "--engine", "qemu", "--kernel", kernel,
                   "--base", federation.base, "--port", "80/tcp")
    wait_until(lambda: owner.answers("bare", "/"), 60, "the base machine answers")
    owner.peer.run("snapshot", "take", "bare", "base", "--leave")
    owner.start_counter()
    for wanted in range(1, 4):
        assert owner.visit("web")[0] == wanted
    owner.peer.run("snapshot", "take", "web", "web-1")
    taken = owner.snapshots()["web-1"]
    print(f"delta of the service: {taken['memoryBytes']} + {taken['diskBytes']} octets")
    assert taken["engine"] == "qemu" and taken["depth"] == 2
    assert taken["memoryBytes"] < 2 << 20

    host = federation.add_peer("host")
    owner.peer.run("publish", SERVICE, "--from-snapshot", "web-1")
    host.run("host", SERVICE)
    federation.await_served(SERVICE, [owner.peer, host])
    assert visit(host.address, host.host_port(SERVICE))[0] == 4


@pytest.mark.parametrize("milliseconds", [1, 20, 60, 120, 250, 500])
def test_killed_at_any_step_of_a_take(owner, milliseconds):
    owner.start_counter()
    owner.visit("web")
    take = subprocess.Popen([program("mutua"), "--peer-socket", owner.peer.socket, "snapshot", "take",
                             "web", "half"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    time.sleep(milliseconds / 1000)
    owner.peer.kill()
    take.wait(timeout=20)
    owner.peer.start()
    assert owner.machines()["web"]["state"] == "stopped"
    names = set(owner.snapshots())
    assert names in ({"base"}, {"base", "half"})
    for name in names:
        assert "is whole" in owner.peer.run("snapshot", "verify", name)
    left = {path.name for path in (owner.peer.state / "scrapbook" / "machines" / "web").iterdir()}
    assert left <= {"machine.json", "disk.cow", "console.log", "console.log.1", "run"}
    if "half" not in names:
        owner.peer.run("snapshot", "resume", "base", "other")
        owner.peer.run("snapshot", "take", "other", "half")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root mounts a small file system")
def test_a_full_disk_leaves_the_machine_running_and_no_snapshot(federation):
    state = federation.folder / "owner" / "state"
    state.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=128m,mode=0700", "tmpfs", state], check=True)
    try:
        owner = Owner(federation)
        owner.boot_base()
        owner.start_counter()
        assert owner.visit("web")[0] == 1
        ballast = state / "ballast"
        with open(ballast, "wb", buffering=0) as file, pytest.raises(OSError):
            while True:
                file.write(bytes(1 << 20))
        os.truncate(ballast, ballast.stat().st_size - (1 << 20))
        assert "No space left" in owner.peer.fails("snapshot", "take", "web", "never")
        assert owner.visit("web")[0] == 2, "the machine goes on"
        assert set(owner.snapshots()) == {"base"}
        assert not (state / "scrapbook" / "machines" / "web" / "taken").exists()
        ballast.unlink()
        owner.peer.run("snapshot", "take", "web", "room")
        owner.peer.run("snapshot", "resume", "room", "copy")
        assert owner.visit("copy")[0] == 3
        owner.peer.stop()
    finally:
        subprocess.run(["umount", "--lazy", state], check=True)

"""A whole federation for system tests: an authority and peers, each at a loopback address of its own.

The machines are real."""

import hashlib
import http.client
import json
import pathlib
import subprocess

import machines
from daemons import Authority, Daemon, program, wait_until

OPERATOR_KEY = "operator"


class CommandFailed(AssertionError):
    """A `mutua` command that ended with another status than 0; str() holds its stderr."""


def mutua(*arguments, timeout=180):
    done = subprocess.run([program("mutua"), *map(str, arguments)], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=timeout)
    if done.returncode != 0:
        raise CommandFailed(f"mutua {' '.join(map(str, arguments))}: {done.stderr}")
    return done.stdout


def mutua_fails(*arguments, timeout=180):
    """The stderr of a command that must fail."""
    try:
        out = mutua(*arguments, timeout=timeout)
    except CommandFailed as failure:
        return str(failure)
    raise AssertionError(f"mutua {arguments} succeeded: {out}")


class Peer(Daemon):
    """mutua-peer with a key and a state folder of its own, at one address."""

    def __init__(self, folder, authority, address, options=(), environment=None, lease="4s", prefix=()):
        folder = pathlib.Path(folder)
        super().__init__("mutua-peer", ["--config", folder / "peer.conf"], folder,
                         ready=r"^ready (\S+) exchange (\d+)$", environment=environment, prefix=prefix)
        self.authority = authority
        self.address = address
        self.options = list(options)
        self.lease = lease
        self.state = folder / "state"
        self.socket = folder / "control.sock"
        self.id = None
        self.exchange_port = None

    def write_config(self):
        self.folder.mkdir(parents=True, exist_ok=True)
        if not (self.state / "peer.key").exists():
            mutua("peer", "init", "--state", self.state)
        lines = [f"state = {self.state}", f"zone = {self.authority.zone}",
                 f"authority = {self.authority.address}:{self.authority.port}",
                 f"address = {self.address}", f"control_socket = {self.socket}",
                 f"lease = {self.lease}", "watch = 500ms", *self.options]
        (self.folder / "peer.conf").write_text("\n".join(lines) + "\n")

    def start(self, timeout=30.0, ready_count=1):
        self.write_config()
        super().start(timeout, ready_count)
        self.id, self.exchange_port = self.ready_lines[0].group(1), int(self.ready_lines[0].group(2))
        return self

    def stop(self, timeout=30.0):
        return super().stop(timeout)

    def run(self, *arguments, timeout=180):
        return mutua("--peer-socket", self.socket, *arguments, timeout=timeout)

    def fails(self, *arguments, timeout=180):
        return mutua_fails("--peer-socket", self.socket, *arguments, timeout=timeout)

    def ps(self):
        """The services here, by name."""
        return {entry["service"]: entry for entry in json.loads(self.run("ps", "--json"))}

    def replicas(self, service):
        """Who committed to the service, by peer id."""
        return {entry["peer"]: entry for entry in json.loads(self.run("replicas", service, "--json"))}

    def host_port(self, service):
        return self.ps()[service]["ports"][0]["hostPort"]

    def machine_folder(self, service):
        return self.state / "machines" / service


class Federation:
    """An authority with the guest's kernel and base image as trusted bases, and peers at 127.0.0.x."""

    def __init__(self, folder, zone="fed.test", authority_options=(), lease="4s"):
        self.folder = pathlib.Path(folder)
        self.kernel, self.base = machines.kernel(), machines.base_image()
        self.lease = lease
        self.authority = Authority(self.folder / "authority", zone=zone, options=authority_options)
        self.peers = []

    def __enter__(self):
        self.authority.start()
        key = self.folder / "operator.key"
        key.write_text(f"{OPERATOR_KEY} hmac-sha256 {self.authority.secret}\n")
        self.operator = ["--key", key, "--zone", str(self.authority.zone),
                         "--authority", f"{self.authority.address}:{self.authority.port}"]
        self.trust(self.kernel)
        self.trust(self.base)
        return self

    def __exit__(self, *_):
        for peer in self.peers:
            peer.__exit__()
        self.authority.__exit__()

    def trust(self, path):
        return mutua("base", "trust", path, *self.operator)

    def revoke(self, path):
        return mutua("base", "revoke", path, *self.operator)

    def add_peer(self, name, options=(), **more):
        address = f"127.0.1.{len(self.peers) + 1}"
        peer = Peer(self.folder / name, self.authority, address, options, lease=self.lease, **more)
        self.peers.append(peer)
        return peer.start()

    def make_disk(self, name, page):
        """A disk that serves `page` at /."""
        source = self.folder / f"{name}.html"
        source.write_text(page)
        disk = self.folder / f"{name}.img"
        mutua("disk", "create", "--base", self.base, "--output", disk,
              "--add", f"{source}=/www/index.html")
        return disk

    def publish(self, owner, service, page, *options):
        disk = self.make_disk(service, page)
        return owner.run("publish", service, "--base", self.base, "--kernel", self.kernel,
                         "--disk", disk, "--port", "80/tcp", *options)

    def served(self, service, port=80):
        """The peers in the served list, with their ports."""
        served = {}
        for text in self.authority.rdatas(f"_{port}._tcp.{service}.", "SRV"):
            _, _, mapped, target = text.split()
            served[target.split(".")[0]] = int(mapped)
        return served

    def await_served(self, service, peers, timeout=30.0):
        """Until exactly these peers are in the served list."""
        wanted = {peer.id for peer in peers}
        return wait_until(lambda: (lambda now: now if set(now) == wanted else None)(self.served(service)),
                          timeout, f"{service} served by {sorted(wanted)}, now {sorted(self.served(service))},")


def fetch(address, port, path="/", host="test", timeout=5.0):
    """(status, body) of one GET."""
    connection = http.client.HTTPConnection(address, port, timeout=timeout)
    try:
        connection.request("GET", path, headers={"Host": host})
        response = connection.getresponse()
        return response.status, response.read().decode(errors="replace")
    finally:
        connection.close()


def body_digest(page):
    return "sha256:" + hashlib.sha256(page.encode()).hexdigest()

"""The demo's federation: an authority, three peers and a client, each on a host of its own."""

import base64
import hashlib
import json
import os
import pathlib
import secrets
import shutil
import socket
import subprocess
import tempfile
import time

import netlab
from client_machine import ClientMachine

ZONE = "fed.example"
OPERATOR_KEY = "operator"
LEASE_SECONDS = 30
PEER_NAMES = ("alder", "birch", "cedar")


class DemoError(Exception):
    """Something that the demo cannot go on without; the text is for a person."""


def digest_label(path):
    """What the zone calls a base: the lower-case base32 of its SHA-256 (52 characters)."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return base64.b32encode(digest.digest()).decode().rstrip("=").lower()


class Program:
    """A daemon on a host, with its log."""

    def __init__(self, name, host, command, folder, environment=None):
        self.name = name
        self.host = host
        self.log = folder / f"{name}.log"
        with open(self.log, "ab") as log:
            self.process = host.popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                      env=environment)

    def alive(self):
        return self.process.poll() is None

    def log_tail(self, lines=15):
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def kill(self):
        """kill -9."""
        self.process.kill()
        self.process.wait()


class Peer:
    def __init__(self, lab, name, host):
        self.lab = lab
        self.name = name
        self.host = host
        self.folder = lab.folder / name
        self.folder.mkdir(mode=0o755)
        self.socket = self.folder / "peer.sock"
        self.daemon = None
        self.id = None

    def initialize(self):
        """Makes the key and the daemon's configuration."""
        state = self.folder / "state"
        self.id = self.lab.run_program(self.host, "mutua", "peer", "init", "--state", state).strip()
        (self.folder / "peer.conf").write_text(f"""\
state = {state}
zone = {ZONE}.
authority = {self.lab.authority_host.address}:53
address = {self.host.address}
control_socket = {self.socket}
lease = {LEASE_SECONDS}s
host_ports = 20000-29999
""")

    def start(self):
        program = self.lab.programs / "mutua-peer"
        self.daemon = Program(self.name, self.host,
                              [program, "--config", self.folder / "peer.conf"], self.lab.folder)

    def mutua(self, *arguments, timeout=120):
        """The `mutua` command on this peer's host; returns what it prints."""
        return self.lab.run_program(self.host, "mutua", "--peer-socket", self.socket, *arguments,
                                    timeout=timeout)

    def alive(self):
        return self.daemon is not None and self.daemon.alive()


class FederationLab:
    """A context manager; leaving it removes everything that entering and using it made."""

    def __init__(self, programs, libraries, kernel, base):
        self.programs = programs
        self.libraries = libraries
        self.kernel = kernel
        self.base = base
        self.secret = base64.b64encode(secrets.token_bytes(32)).decode()

    def __enter__(self):
        # /tmp rather than TMPDIR: the path of a UNIX socket has 107 octets.
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="mutua-demo-", dir="/tmp"))
        self.folder.chmod(0o755)  # machines run as other users, and reach their disks through here
        self.network = None
        try:
            self.network = netlab.NetLab("10.99.0.0/24")
            self.authority_host = self.network.add_host("authority", "10.99.0.1")
            self.peers = [Peer(self, name, self.network.add_host(name, f"10.99.0.{11 + index}"))
                          for index, name in enumerate(PEER_NAMES)]
            self.client = self.network.add_host("client", "10.99.0.50", kind=ClientMachine)
            self.client.library_folder = self.libraries
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        if self.network is not None:
            self.network.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    # -- programs --

    def run_program(self, host, name, *arguments, timeout=60):
        command = [self.programs / name, *arguments]
        try:
            done = host.run(command, check=False, timeout=timeout)
        except subprocess.TimeoutExpired as error:
            raise DemoError(f"{shown(command)}: no end within {timeout} s\n"
                            f"{error.stdout or ''}{error.stderr or ''}") from None
        if done.returncode != 0:
            raise DemoError(f"{shown(command)}: {(done.stderr or done.stdout).strip()}")
        return done.stdout

    def start_authority(self):
        (self.folder / "zone").write_text(f"""\
$ORIGIN {ZONE}.
$TTL 300
@ SOA ns1 hostmaster 1 3600 600 604800 30
@ NS ns1
ns1 A {self.authority_host.address}
""")
        secret = self.folder / "operator.secret"
        secret.touch(mode=0o600)
        secret.write_text(self.secret + "\n")
        configuration = self.folder / "authority.conf"
        configuration.write_text(f"""\
zone = {ZONE}.
database = {self.folder}/zone.sqlite
zone_file = {self.folder}/zone
listen = {self.authority_host.address}:53
tsig_key = {OPERATOR_KEY} hmac-sha256 {secret}
""")
        self.authority = Program("authority", self.authority_host,
                                 [self.programs / "mutua-authority", "--config", configuration],
                                 self.folder)
        self.wait_until(lambda: self.dig(ZONE, "SOA"), 20, "the authority answers", self.authority)

    def start_resolver(self):
        configuration = self.folder / "resolver.conf"
        configuration.write_text(f"""\
zone = {ZONE}.
authority = {self.authority_host.address}:53
upstream = {self.authority_host.address}:53
""")
        self.resolver = Program("resolver", self.client,
                                [self.programs / "mutua-resolver", "--config", configuration],
                                self.folder)
        listening = pathlib.Path(f"/proc/{self.client.holder_pid}/root/run/mutua/resolver.sock")
        self.wait_until(listening.exists, 20, "the resolver listens", self.resolver)

    def wait_until(self, condition, timeout_seconds, what, *daemons):
        """Polls `condition`, and returns its value once it is true, while `daemons` live."""
        deadline = time.monotonic() + timeout_seconds
        while not (outcome := condition()):
            for daemon in daemons:
                if not daemon.alive():
                    raise DemoError(f"{daemon.name} ended:\n{daemon.log_tail()}")
            if time.monotonic() > deadline:
                logs = "\n".join(f"--- {daemon.name}\n{daemon.log_tail()}" for daemon in daemons)
                raise DemoError(f"waited {timeout_seconds} s in vain until {what}\n{logs}")
            time.sleep(0.1)
        return outcome

    # -- DNS, by other people's tools --

    def dig(self, name, record_type):
        """The answer section as lines of text; empty when there is none."""
        done = self.client.run(
            ["dig", f"@{self.authority_host.address}", "+noall", "+answer", "+time=2", "+tries=2",
             name, record_type], check=False)
        return [line for line in done.stdout.splitlines() if line and not line.startswith(";")]

    def trust_bases(self):
        """The operator vouches for the kernel and the base image: nsupdate, signed by TSIG."""
        labels = [digest_label(self.kernel), digest_label(self.base)]
        commands = [f"server {self.authority_host.address}", f"zone {ZONE}",
                    *(f'update add {label}._kernels.{ZONE}. 300 TXT "v=1" "status=trusted"'
                      for label in labels), "send", ""]
        done = self.client.run(["nsupdate", "-y", f"hmac-sha256:{OPERATOR_KEY}:{self.secret}"],
                               check=False, input="\n".join(commands))
        if done.returncode != 0:
            raise DemoError(f"nsupdate: {done.stderr.strip()}")
        return labels

    # -- an owner at work --

    def pack_into(self, peer, machine, folder):
        """Copies a folder's content into a machine of the owner's."""
        packed = subprocess.run(["tar", "-C", folder, "--owner=0", "--group=0", "-c", "."],
                                stdout=subprocess.PIPE, check=True).stdout
        done = peer.host.run([self.programs / "mutua", "--peer-socket", peer.socket, "machine", "run",
                              "--stdin", machine, "tar x -C /"], check=False, input=packed, text=False,
                             timeout=60)
        if done.returncode != 0:
            raise DemoError(f"copy {folder} into {machine}: {done.stderr.decode()}")

    def fetch_at(self, peer, url):
        """A page that a machine of the owner's serves on its host; empty where it does not answer."""
        done = peer.host.run(["curl", "-sS", "--max-time", "15", url], check=False, timeout=30)
        return done.stdout if done.returncode == 0 and "</table>" in done.stdout else ""

    # -- the client --

    def fetch(self, url):
        """One page by curl, through NSS and the resolver: (status, body)."""
        done = self.client.run(["curl", "-sS", "--max-time", "15", url], check=False,
                               env=self.client.environment(), timeout=30)
        return done.returncode, done.stdout if done.returncode == 0 else done.stderr

    def candidates(self, hostname, port):
        """What the resolver knows of each peer of a service, by address: what `mutua lookup`
        prints, from the resolver's control socket."""
        path = f"/proc/{self.client.holder_pid}/root/run/mutua/resolver-control.sock"
        request = {"command": "lookup", "host": hostname, "port": port, "transport": "tcp"}
        answer = ask_control_socket(path, request)
        return {entry["address"].rpartition(":")[0]: entry
                for entry in answer.get("candidates", [])}


def ask_control_socket(path, request):
    """One request of a daemon's control socket (lib/control): JSON objects, one a line."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as channel:
        channel.settimeout(15)
        channel.connect(path)
        channel.sendall(json.dumps(request).encode() + b"\n")
        for line in channel.makefile("r", encoding="utf-8"):
            message = json.loads(line)
            if "error" in message:
                raise DemoError(f"{request['command']}: {message['error']}")
            if "result" in message:
                return message["result"]
    raise DemoError(f"{request['command']}: no answer from {path}")


def shown(command):
    return " ".join(pathlib.Path(word).name if isinstance(word, os.PathLike) else str(word)
                    for word in command)

"""Starts the built daemons for system tests: ports of their own, a readiness line, an end in time.

The built programs are found in the folder that MUTUA_BIN names."""

import base64
import os
import pathlib
import re
import select
import signal
import socket
import subprocess
import time

import dns.flags
import dns.message
import dns.name
import dns.query
import dns.rdatatype
import dns.tsigkeyring
import dns.update

from netlab import die_with_parent


def program(name):
    folder = os.environ.get("MUTUA_BIN")
    if not folder:
        raise RuntimeError("MUTUA_BIN must name the folder of the built programs")
    path = pathlib.Path(folder) / name
    if not path.exists():
        raise RuntimeError(f"{path} is not built")
    return str(path)


def free_port(address="127.0.0.1"):
    """A port that was free for both UDP and TCP a moment ago."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    for _ in range(100):
        with socket.socket(family, socket.SOCK_STREAM) as tcp, socket.socket(family, socket.SOCK_DGRAM) as udp:
            tcp.bind((address, 0))
            port = tcp.getsockname()[1]
            try:
                udp.bind((address, port))
            except OSError:
                continue
            return port
    raise RuntimeError("no port is free for both UDP and TCP")


def wait_until(condition, timeout=10.0, what="the condition", interval=0.02):
    """Polls until `condition()` is true and returns its value; fails at the deadline."""
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"{what} did not come true within {timeout} s")
        time.sleep(interval)


class Daemon:
    """One process with its log. A context manager; it never outlives the test."""

    def __init__(self, name, arguments, folder, ready=None, environment=None, prefix=()):
        self.name = name
        self.command = [*prefix, program(name), *map(str, arguments)]
        self.folder = pathlib.Path(folder)
        self.ready = re.compile(ready) if ready else None
        self.environment = {**os.environ, **(environment or {})}
        self.log_path = self.folder / f"{name}.log"
        self.process = None
        self.ready_lines = []

    def start(self, timeout=20.0, ready_count=1):
        """Starts the process and waits for `ready_count` lines on stdout that match `ready`."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                self.command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log,
                env=self.environment, preexec_fn=die_with_parent)
        self.ready_lines = []
        if self.ready:
            self._await_ready(timeout, ready_count)
        return self

    def _await_ready(self, timeout, ready_count):
        deadline = time.monotonic() + timeout
        pending = b""
        out = self.process.stdout
        while len(self.ready_lines) < ready_count:
            left = deadline - time.monotonic()
            readable = left > 0 and select.select([out], [], [], left)[0]
            data = os.read(out.fileno(), 4096) if readable else b""
            if not data:
                self.kill()
                raise AssertionError(f"{self.name} did not get ready:\n{self.log()[-4000:]}")
            pending += data
            *lines, pending = pending.split(b"\n")
            for line in lines:
                match = self.ready.search(line.decode(errors="replace"))
                if match:
                    self.ready_lines.append(match)

    @property
    def pid(self):
        return self.process.pid

    def alive(self):
        return self.process is not None and self.process.poll() is None

    def log(self):
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def kill(self):
        """kill -9: as a power cut sees it, but for the page cache."""
        self._end(signal.SIGKILL, 10)

    def stop(self, timeout=10.0):
        """SIGTERM; the exit status. A daemon that does not end in time is killed and fails."""
        return self._end(signal.SIGTERM, timeout)

    def _end(self, signal_number, timeout):
        if self.process is None:
            return None
        if self.process.poll() is None:
            self.process.send_signal(signal_number)
        try:
            status = self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"{self.name} did not end within {timeout} s") from None
        finally:
            if self.process.stdout:
                self.process.stdout.close()
            self.process = None
        return status

    def __enter__(self):
        if self.process is None:
            self.start()
        return self

    def __exit__(self, *_):
        if self.process is not None:
            self.kill()


DEFAULT_ZONE_FILE = """\
$ORIGIN {zone}.
$TTL 300
@ SOA ns1 hostmaster 1 3600 600 604800 60
@ NS ns1
@ NS ns2
ns1 A 127.0.0.1
ns2 A 127.0.0.1
"""

OPERATOR_KEY = "operator"


class Authority(Daemon):
    """mutua-authority with a zone, one operator's TSIG key, and a port that the kernel picked.

    The port stays the same over restarts, so that clients may keep talking to it."""

    def __init__(self, folder, zone="fed.test", zone_text=None, listen=("127.0.0.1:0",), options=(), environment=None, prefix=(),
                 database=None):
        folder = pathlib.Path(folder)
        super().__init__("mutua-authority", ["--config", folder / "authority.conf"], folder,
                         ready=r"ready udp\+tcp (\S+):(\d+)$", environment=environment, prefix=prefix)
        self.zone = dns.name.from_text(zone)
        self.zone_text = zone_text or DEFAULT_ZONE_FILE.format(zone=zone.rstrip("."))
        self.listen = list(listen)
        self.options = list(options)
        self.database = database or folder / "zone.sqlite"
        self.secret = base64.b64encode(os.urandom(32)).decode()
        self.address = None
        self.port = None

    def write_config(self):
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "zone").write_text(self.zone_text)
        secret = self.folder / "operator.secret"
        secret.write_text(self.secret + "\n")
        secret.chmod(0o600)
        lines = [f"zone = {self.zone}", f"database = {self.database}",
                 f"zone_file = {self.folder / 'zone'}",
                 *[f"listen = {address}" for address in self.listen],
                 f"tsig_key = {OPERATOR_KEY} hmac-sha256 {secret}", *self.options]
        (self.folder / "authority.conf").write_text("\n".join(lines) + "\n")

    def start(self, timeout=20.0, ready_count=None):
        self.write_config()
        super().start(timeout, ready_count or len(self.listen))
        # From now on the very ports that the kernel picked, also after a restart.
        self.listen = [f"{line.group(1)}:{line.group(2)}" for line in self.ready_lines]
        self.address = self.ready_lines[0].group(1).strip("[]")
        self.port = int(self.ready_lines[0].group(2))
        return self

    # -- questions --

    def query(self, name, rdtype, tcp=False, timeout=5.0):
        name = name if isinstance(name, dns.name.Name) else dns.name.from_text(name, self.zone)
        message = dns.message.make_query(name, rdtype, use_edns=0, payload=1232)
        message.flags &= ~dns.flags.RD
        ask = dns.query.tcp if tcp else dns.query.udp
        answer = ask(message, self.address, timeout, self.port)
        if answer.flags & dns.flags.TC:
            answer = dns.query.tcp(message, self.address, timeout, self.port)
        return answer

    def rdatas(self, name, rdtype):
        """The RDATA texts of one RRset, as a set; empty where there is none."""
        name = name if isinstance(name, dns.name.Name) else dns.name.from_text(name, self.zone)
        found = self.query(name, rdtype).get_rrset(
            dns.message.ANSWER, name, dns.rdataclass.IN, dns.rdatatype.from_text(rdtype))
        return {rdata.to_text() for rdata in found} if found else set()

    def serial(self):
        return int(next(iter(self.rdatas(self.zone, "SOA"))).split()[2])

    # -- updates --

    def operator_update(self):
        """A dns.update.UpdateMessage that the operator's key signs."""
        keyring = dns.tsigkeyring.from_text({OPERATOR_KEY: ("hmac-sha256", self.secret)})
        return dns.update.UpdateMessage(self.zone, keyring=keyring, keyname=OPERATOR_KEY,
                                        keyalgorithm="hmac-sha256.")

    def send(self, message, tcp=True, timeout=10.0):
        return (dns.query.tcp if tcp else dns.query.udp)(message, self.address, timeout, self.port)

    def send_wire(self, wire, tcp=False, timeout=10.0):
        """Raw octets, from a socket of their own; the answer as a message."""
        family = socket.AF_INET6 if ":" in self.address else socket.AF_INET
        kind = socket.SOCK_STREAM if tcp else socket.SOCK_DGRAM
        with socket.socket(family, kind) as channel:
            channel.settimeout(timeout)
            channel.connect((self.address, self.port))
            if not tcp:
                channel.send(wire)
                return dns.message.from_wire(channel.recv(65535))
            channel.sendall(len(wire).to_bytes(2, "big") + wire)
            return dns.message.from_wire(self._read_framed(channel))

    @staticmethod
    def _read_framed(channel):
        def exactly(count):
            data = b""
            while len(data) < count:
                more = channel.recv(count - len(data))
                if not more:
                    raise ConnectionError("the authority closed the connection")
                data += more
            return data
        return exactly(int.from_bytes(exactly(2), "big"))

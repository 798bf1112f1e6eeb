# ctest: sanitized
"""What whoever runs the authority needs: metrics, sockets that outlive it, the service manager."""

import os
import pathlib
import re
import shutil
import socket
import subprocess
import threading
import time

import dns.exception
import dns.message
import dns.query
import dns.rcode
import pytest

import attacks
from daemons import Authority, free_port, wait_until
from sig0 import Key, Registration

SOURCE = pathlib.Path(os.environ["MUTUA_SOURCE"])


class Watched(Authority):
    def __init__(self, folder, **more):
        self.metrics_port = free_port()
        super().__init__(folder, options=[f"metrics_listen = 127.0.0.1:{self.metrics_port}"], **more)

    def http(self, request):
        with socket.create_connection(("127.0.0.1", self.metrics_port), timeout=10) as channel:
            channel.sendall(request)
            data = b""
            while more := channel.recv(65536):
                data += more
        return data.decode()

    def metrics(self):
        head, _, body = self.http(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n").partition("\r\n\r\n")
        assert head.startswith("HTTP/1.1 200 "), head
        return {name: int(value) for name, value in re.findall(r"^(mutua_\S+) (\d+)$", body, re.M)}


def test_metrics_count_what_happens(tmp_path):
    with Watched(tmp_path) as authority:
        before = authority.metrics()
        for _ in range(10):
            authority.query("ns1", "A")
        authority.query("nobody", "A")
        authority.query("ns1", "A", tcp=True)
        key = Key()
        registration = Registration(authority.zone, key)
        assert authority.send_wire(registration.signed()).rcode() == dns.rcode.NOERROR
        forged = Registration(authority.zone, key, addresses=("127.0.0.2",)).signed(corrupt=True)
        assert authority.send_wire(forged).rcode() == dns.rcode.REFUSED
        after = authority.metrics()
        grown = {name: after[name] - before.get(name, 0) for name in after}
        udp = 'mutua_authority_responses_total{transport="udp",rcode="%s"}'
        assert grown[udp % "NOERROR"] == 10 and grown[udp % "NXDOMAIN"] == 1
        assert grown['mutua_authority_requests_total{transport="tcp"}'] == 1
        assert grown['mutua_authority_updates_total{outcome="executed"}'] == 1
        assert grown['mutua_authority_updates_total{outcome="unauthenticated"}'] == 1
        assert grown["mutua_authority_signature_checks_total"] == 2
        assert grown["mutua_authority_commits_total"] == 1
        assert grown["mutua_authority_zone_serial"] == 1


def test_a_message_costs_two_verifications_at_most(tmp_path):
    """Though two dozen keys stand at the name, all with the tag that the message names."""
    checks = "mutua_authority_signature_checks_total"
    with Watched(tmp_path) as authority:
        attack = attacks.ManyKeysOfOneTag(authority)
        attack.prepare()
        before = authority.metrics()[checks]
        for message in attack.messages[:10]:
            assert authority.send_wire(message).rcode() == dns.rcode.REFUSED
        assert 10 <= authority.metrics()[checks] - before <= 20


def test_metrics_are_all_that_http_gets(tmp_path):
    with Watched(tmp_path) as authority:
        assert authority.http(b"GET / HTTP/1.1\r\n\r\n").startswith("HTTP/1.1 404 ")
        assert authority.http(b"POST /metrics HTTP/1.1\r\n\r\n").startswith("HTTP/1.1 400 ")
        assert authority.http(b"x" * 8192).startswith("HTTP/1.1 400 ")
        head = authority.http(b"HEAD /metrics HTTP/1.1\r\n\r\n")
        assert head.startswith("HTTP/1.1 200 ") and head.endswith("\r\n\r\n")
        # A silent client holds the thread for two seconds, not forever.
        with socket.create_connection(("127.0.0.1", authority.metrics_port)):
            begun = time.monotonic()
            authority.metrics()
            assert time.monotonic() - begun < 8


@pytest.mark.skipif(not shutil.which("promtool"), reason="NOT RUN: promtool is not installed")
def test_promtool_finds_nothing_wrong(tmp_path):
    with Watched(tmp_path) as authority:
        body = authority.http(b"GET /metrics HTTP/1.1\r\n\r\n").partition("\r\n\r\n")[2]
        subprocess.run(["promtool", "check", "metrics"], input=body, text=True, check=True, timeout=20)


class Activated(Authority):
    """With sockets that the test holds, as systemd does."""

    def __init__(self, folder):
        self.port_held = free_port()
        self.datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.stream = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        for one in (self.datagrams, self.stream):
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            one.bind(("127.0.0.1", self.port_held))
            one.set_inheritable(True)
        self.stream.listen(64)
        self.manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.manager.bind(str(folder / "notify"))
        self.manager.settimeout(10)
        # The shell gives the descriptors their numbers, and its own process id to the daemon.
        prefix = ["bash", "-c", f"exec 3<&{self.datagrams.fileno()} 4<&{self.stream.fileno()}; "
                  "LISTEN_PID=$$ LISTEN_FDS=2 exec \"$@\"", "bash"]
        super().__init__(folder, listen=(f"127.0.0.1:{self.port_held}",), prefix=prefix,
                         environment={"NOTIFY_SOCKET": str(folder / "notify")})


@pytest.fixture
def inheritable(monkeypatch):
    """subprocess closes what it is not told of."""
    start = subprocess.Popen.__init__

    def keeping(self, *arguments, **options):
        start(self, *arguments, **{**options, "close_fds": False})
    monkeypatch.setattr(subprocess.Popen, "__init__", keeping)


def test_a_restart_loses_no_question(tmp_path, inheritable):
    with Activated(tmp_path) as authority:
        wait_until(lambda: b"READY=1" in authority.manager.recv(256), what="READY=1")
        assert "unused_sockets" not in authority.log()
        lost, asked, done = [], [], threading.Event()

        def ask():
            while not done.is_set():
                message = dns.message.make_query("ns1.fed.test.", "A")
                try:
                    dns.query.udp(message, "127.0.0.1", 10, authority.port)
                    asked.append(message)
                except dns.exception.Timeout:
                    lost.append(message)
        client = threading.Thread(target=ask)
        client.start()
        try:
            for _ in range(3):
                authority.stop()
                waiting = dns.message.make_query("ns1.fed.test.", "A")
                with socket.create_connection(("127.0.0.1", authority.port), timeout=10) as channel:
                    channel.sendall(len(waiting.to_wire()).to_bytes(2, "big") + waiting.to_wire())
                    authority.start()
                    assert channel.recv(4096)
        finally:
            done.set()
            client.join()
        assert asked and not lost


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="NOT RUN: systemd-analyze is not installed")
def test_the_unit_is_well_formed(tmp_path):
    for name in ("mutua-authority.service", "mutua-authority.socket"):
        text = (SOURCE / "authority" / name).read_text().replace("/usr/bin/mutua-authority", "/bin/true")
        (tmp_path / name).write_text(text)
    done = subprocess.run(["systemd-analyze", "verify", tmp_path / "mutua-authority.service",
                           tmp_path / "mutua-authority.socket"], capture_output=True, text=True, timeout=60, check=False)
    problems = [line for line in done.stderr.splitlines() if "mutua-authority" in line and "Man page" not in line and "man mutua" not in line]
    assert not problems, done.stderr

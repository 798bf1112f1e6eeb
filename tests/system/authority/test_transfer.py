# ctest: timeout=600
# ctest: sanitized
"""NSD and Knot follow the authority with the sample configurations; whoever may not, gets nothing."""

import base64
import os
import pathlib
import random
import shutil
import socket
import subprocess
import threading
import time

import dns.exception
import dns.message
import dns.name
import dns.query
import dns.rcode
import dns.rdatatype
import dns.tsig
import dns.tsigkeyring
import dns.xfr
import dns.zone
import pytest

from daemons import Authority, free_port, wait_until
from netlab import die_with_parent
from secondaries import nsd_surroundings, random_update

SAMPLES = pathlib.Path(os.environ["MUTUA_SOURCE"]) / "zones"
SECRET = base64.b64encode(b"secret of the samples, not for yours!").decode()
KEYRING = dns.tsigkeyring.from_text({"secondary": ("hmac-sha256", SECRET)})


def tool(name):
    return shutil.which(name, path=os.environ["PATH"] + ":/usr/sbin")


class Secondary:
    """A nameserver of others, with its sample configuration turned to this test's ports and paths."""

    def __init__(self, kind, folder, port):
        self.kind, self.port = kind, port
        self.folder = folder / kind
        self.folder.mkdir()
        self.process = None

    def start(self, authority):
        sample = (SAMPLES / f"secondary-{self.kind}.conf").read_text()
        assert SECRET in sample
        sample = (sample.replace("@5300", f"@{authority.port}").replace("@5301", f"@{self.port}")
                  .replace("@5302", f"@{self.port}").replace("fed.example", "fed.test"))
        configuration = self.folder / f"{self.kind}.conf"
        configuration.write_text(getattr(self, f"_surroundings_{self.kind}")() + sample)
        program = {"nsd": ["nsd", "-d"], "knot": ["knotd"]}[self.kind]
        with open(self.folder / "log", "wb") as log:
            self.process = subprocess.Popen(
                [tool(program[0]), *program[1:], "-c", str(configuration)], stdin=subprocess.DEVNULL,
                stdout=log, stderr=log, preexec_fn=die_with_parent)
        wait_until(self.serial, 30, f"{self.kind} follows:\n{(self.folder / 'log').read_text()}")

    def _surroundings_nsd(self):
        return nsd_surroundings(self.folder)

    def _surroundings_knot(self):
        return (f"database:\n    storage: {self.folder}\ntemplate:\n  - id: default\n"
                f"    storage: {self.folder}\nserver:\n    rundir: {self.folder}\n")

    def serial(self):
        query = dns.message.make_query("fed.test.", "SOA")
        try:
            answer = dns.query.udp(query, "127.0.0.1", 0.2, self.port)
        except (OSError, dns.exception.DNSException):
            return None
        return answer.answer[0][0].serial if answer.answer else None

    def text(self, name):
        """A TXT record; None where there is none, or where NSD, between two versions, dropped the question."""
        try:
            answer = dns.query.udp(dns.message.make_query(name, "TXT"), "127.0.0.1", 0.2, self.port)
        except (OSError, dns.exception.DNSException):
            return None
        return answer.answer[0][0].to_text() if answer.answer else None

    def stop(self):
        if self.process:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


def secondaries(folder):
    """Those that are installed, and their ports. None is no pass: the test says so and is skipped."""
    found = [Secondary(kind, folder, free_port()) for kind, name in (("nsd", "nsd"), ("knot", "knotd")) if tool(name)]
    if not found:
        pytest.skip("NOT RUN: neither nsd nor knotd is installed (./dev setup --test)")
    return found


def following(tmp_path, notify_ports=(), rules=("transfer = 127.0.0.1 secondary",)):
    tmp_path.mkdir(exist_ok=True)
    secret = tmp_path / "secondary.secret"
    secret.write_text(SECRET + "\n")
    secret.chmod(0o600)
    options = [f"transfer_key = secondary hmac-sha256 {secret}", *rules,
               *[f"notify = 127.0.0.1:{port} secondary" for port in notify_ports]]
    return Authority(tmp_path / "authority", options=options)


def transferred(port, key=KEYRING, serial=None, zone=None):
    """The zone by AXFR, or brought up to date by IXFR from `serial`."""
    zone = zone or dns.zone.Zone("fed.test.")
    if serial is None:
        query = dns.message.make_query("fed.test.", "AXFR")
    else:
        query, serial = dns.xfr.make_query(zone)
    if key:
        query.use_tsig(key)
    dns.query.inbound_xfr("127.0.0.1", zone, query, port, timeout=10, lifetime=60)
    return zone


def records(zone):
    """Every record of a zone, the SOA too, whatever the order."""
    return {(str(name).lower(), ttl, dns.rdatatype.to_text(rdata.rdtype), rdata.to_text().lower())
            for name, ttl, rdata in zone.iterate_rdatas()}


def test_nsd_and_knot_are_equal_after_a_thousand_random_updates(tmp_path):
    all_of_them = secondaries(tmp_path)
    with following(tmp_path, [one.port for one in all_of_them]) as authority:
        try:
            for one in all_of_them:
                one.start(authority)
            choose = random.Random(4)
            for _ in range(1000):
                assert authority.send(random_update(authority, choose)).rcode() == dns.rcode.NOERROR
            expected = transferred(authority.port)
            assert len(records(expected)) > 100
            for one in all_of_them:
                wait_until(lambda: one.serial() == authority.serial(), 30, f"{one.kind} has the newest serial")
                # Neither gives its zone away by default: name by name then.
                for name, rdataset in expected.iterate_rdatasets():
                    owner = name.derelativize(expected.origin)
                    answer = dns.query.tcp(dns.message.make_query(owner, rdataset.rdtype), "127.0.0.1", 5, one.port)
                    theirs = answer.get_rrset(dns.message.ANSWER, owner, rdataset.rdclass, rdataset.rdtype)
                    assert theirs is not None, f"{one.kind} lacks {owner} {rdataset}"
                    assert theirs.ttl == rdataset.ttl
                    assert {r.to_text().lower() for r in theirs} == {
                        r.to_text(origin=expected.origin, relativize=False).lower() for r in rdataset}
                for number in range(60):
                    if f"n{number}" not in expected:
                        gone = dns.message.make_query(f"n{number}.fed.test.", "A")
                        assert not dns.query.tcp(gone, "127.0.0.1", 5, one.port).answer
        finally:
            for one in all_of_them:
                one.stop()


def test_a_change_is_soon_visible_at_nsd(tmp_path):
    if not tool("nsd"):
        pytest.skip("NOT RUN: nsd is not installed (./dev setup --test)")
    nsd = Secondary("nsd", tmp_path, free_port())
    with following(tmp_path, [nsd.port]) as authority:
        try:
            nsd.start(authority)
            took = []
            for number in range(100):
                message = authority.operator_update()
                message.replace("seen", 60, "TXT", str(number))
                assert authority.send(message).rcode() == dns.rcode.NOERROR
                acknowledged = time.monotonic()
                wait_until(lambda: nsd.text("seen.fed.test.") == f'"{number}"', 10, "the change", 0.001)
                took.append(time.monotonic() - acknowledged)
            took.sort()
            print(f"update -> visible at NSD: p50 {took[50] * 1e3:.1f} ms, p99 {took[98] * 1e3:.1f} ms")
            # The figure's target is 30 ms; NSD itself and a busy machine have their share in it.
            assert took[50] < 0.25, took
        finally:
            nsd.stop()


def test_ixfr_leads_from_every_older_version_to_the_newest(tmp_path):
    with following(tmp_path) as authority:
        choose = random.Random(5)
        kept = [transferred(authority.port)]
        for _ in range(30):
            for _ in range(choose.randrange(1, 5)):
                authority.send(random_update(authority, choose))
            kept.append(transferred(authority.port))
        newest = records(kept[-1])
        for zone in kept:
            assert records(transferred(authority.port, serial=True, zone=zone)) == newest
        # The journal outlives the process; what was never known is sent whole.
        old = transferred(authority.port)
        assert authority.send(random_update(authority, choose)).rcode() == dns.rcode.NOERROR
        authority.stop()
        authority.start()
        assert records(transferred(authority.port, serial=True, zone=old)) == records(transferred(authority.port))


def test_a_zone_of_many_messages_comes_whole(tmp_path):
    text = "$ORIGIN fed.test.\n$TTL 60\n@ SOA ns1 h 1 3600 600 604800 60\n@ NS ns1\nns1 A 127.0.0.1\n"
    text += "".join(f"n{number} TXT \"{'x' * 200}\"\n" for number in range(20000))
    with following(tmp_path) as authority:
        authority.stop()
        (tmp_path / "authority" / "zone.sqlite").unlink()
        authority.zone_text = text
        authority.start()
        assert len(records(transferred(authority.port))) == 20003


def refused(port, key=None, kind="AXFR", name="fed.test."):
    query = dns.message.make_query(name, kind)
    if key:
        query.use_tsig(key)
    return dns.query.tcp(query, "127.0.0.1", 5, port).rcode()


def test_only_who_may_gets_the_zone(tmp_path):
    with following(tmp_path) as authority:
        assert refused(authority.port) == dns.rcode.REFUSED
        assert refused(authority.port, kind="IXFR") == dns.rcode.REFUSED
        assert refused(authority.port, KEYRING, name="ns1.fed.test.") == dns.rcode.NOTAUTH
        assert refused(authority.port, KEYRING, kind="IXFR") == dns.rcode.FORMERR  # without a SOA
        other = dns.tsigkeyring.from_text({"secondary": ("hmac-sha256", base64.b64encode(b"x" * 32))})
        with pytest.raises(dns.tsig.PeerBadSignature):
            refused(authority.port, other)
        # The operator's key is for updates, and the secondary's for nothing else.
        operator = dns.tsigkeyring.from_text({"operator": ("hmac-sha256", authority.secret)})
        with pytest.raises(dns.tsig.PeerBadKey):
            refused(authority.port, operator)
        update = dns.update.UpdateMessage("fed.test.", keyring=KEYRING, keyname="secondary", keyalgorithm="hmac-sha256.")
        update.add("x", 60, "A", "192.0.2.1")
        with pytest.raises(dns.tsig.PeerBadKey):
            authority.send(update)
    with following(tmp_path / "elsewhere", rules=["transfer = 192.0.2.0/24 secondary"]) as authority:
        assert refused(authority.port, KEYRING) == dns.rcode.REFUSED
    with following(tmp_path / "nobody", rules=[]) as authority:
        assert refused(authority.port) == dns.rcode.REFUSED


def test_one_that_never_reads_its_transfer_keeps_nobody_waiting(tmp_path):
    text = "$ORIGIN fed.test.\n$TTL 60\n@ SOA ns1 h 1 3600 600 604800 60\n@ NS ns1\nns1 A 127.0.0.1\n"
    text += "".join(f"n{number} TXT \"{'x' * 250}\"\n" for number in range(40000))
    authority = following(tmp_path)
    authority.zone_text = text
    authority.options.append("tcp_idle = 2s")
    with authority:
        query = dns.message.make_query("fed.test.", "AXFR")
        query.use_tsig(KEYRING)
        wire = query.to_wire()
        with socket.create_connection(("127.0.0.1", authority.port)) as sleeper:
            sleeper.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
            sleeper.sendall(len(wire).to_bytes(2, "big") + wire)
            done = []
            reader = threading.Thread(target=lambda: done.append(len(records(transferred(authority.port)))))
            reader.start()
            assert authority.query("ns1", "A", tcp=True).rcode() == dns.rcode.NOERROR
            reader.join(60)
            assert done == [40003]
            sleeper.settimeout(30)
            received = 0
            while data := sleeper.recv(1 << 16):  # what was on its way, then the end
                received += len(data)
            assert received < 8 << 20

# ctest: timeout=600
# ctest: sanitized
"""mutua-authority as a secondary: the same records as its primary, whoever that is; and nothing of what a
hostile primary, a stranger or a broken line says."""

import contextlib
import random
import socket
import struct
import subprocess
import threading

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.query
import dns.rcode
import dns.rdatatype
import dns.rrset
import dns.tsigkeyring
import dns.update
import dns.zone
import pytest

from daemons import Authority, free_port, wait_until
from netlab import die_with_parent
from secondaries import SECRET, Following, knot_surroundings, nsd_surroundings, random_update, records, secret_option, tool

KEYRING = dns.tsigkeyring.from_text({"transfer": ("hmac-sha256", SECRET)})
HEAD = "$ORIGIN fed.test.\n$TTL 300\n@ SOA ns1 hostmaster 1 3600 2 604800 60\n@ NS ns1\nns1 A 127.0.0.1\n"


@contextlib.contextmanager
def pair(folder, primary_options=(), text=HEAD):
    """One of ours that is written to, and one that follows it."""
    port = free_port()  # of the secondary, which the primary has to know
    primary = Authority(folder / "primary", zone_text=text, options=[
        secret_option(folder / "primary"), "transfer = 127.0.0.1 transfer", f"notify = 127.0.0.1:{port} transfer", *primary_options])
    with primary:
        follower = Following(folder / "follower", [primary.port])
        follower.listen = [f"127.0.0.1:{port}"]
        with follower:
            wait_until(lambda: follower.has(primary.serial()), 20, "the first transfer")
            yield primary, follower


@pytest.mark.parametrize("is_signed", (False, True))
def test_it_is_equal_record_by_record_after_every_burst_of_updates(tmp_path, is_signed):
    options = [f"dnssec_keys = {tmp_path}/keys", "zonemd = 1s"] if is_signed else []
    with pair(tmp_path, options) as (primary, follower):
        choose = random.Random(11)
        for _ in range(6):
            for _ in range(50):
                assert primary.send(random_update(primary, choose)).rcode() == dns.rcode.NOERROR
            wait_until(lambda: follower.has(primary.serial()), 20, "the newest serial")
            theirs, ours = records(primary.port, key=True), records(follower.port)
            if follower.has(primary.serial()):  # a renewal or digest may have come between the two
                assert ours == theirs or follower.serial() != primary.serial()
        assert "whole=no" in follower.log()
        # What is on disk is served before anybody is asked, and its history reaches further secondaries.
        primary.stop()
        follower.stop()
        follower.start()
        assert follower.rcode() == dns.rcode.NOERROR
        zone = dns.zone.Zone("fed.test.")
        dns.query.inbound_xfr("127.0.0.1", zone, port=follower.port, timeout=10, lifetime=60)


def test_a_change_is_there_at_once_and_over_the_end_of_serial_numbers(tmp_path):
    with pair(tmp_path, text=HEAD.replace(" 1 3600", " 4294967290 3600")) as (primary, follower):
        for number in range(20):
            message = primary.operator_update()
            message.replace("seen", 60, "TXT", str(number))
            assert primary.send(message).rcode() == dns.rcode.NOERROR
            wait_until(lambda: follower.rdatas("seen", "TXT") == {f'"{number}"'}, 5, "the change", 0.002)
        assert primary.serial() == follower.serial() == 14
        assert records(primary.port, key=True) == records(follower.port)


def test_it_takes_no_updates_and_listens_to_its_primaries_alone(tmp_path):
    with pair(tmp_path) as (primary, follower):
        update = dns.update.UpdateMessage("fed.test.")
        update.add("x", 60, "A", "192.0.2.1")
        assert follower.send(update).rcode() == dns.rcode.REFUSED
        notify = dns.message.make_query("fed.test.", "SOA")
        notify.set_opcode(dns.opcode.NOTIFY)
        assert follower.send(notify, tcp=False).rcode() == dns.rcode.REFUSED  # not signed
        stranger = dns.query.udp(notify, "127.0.0.1", 5, follower.port, source="127.0.0.9")
        assert stranger.rcode() == dns.rcode.REFUSED
        notify.use_tsig(KEYRING)
        assert follower.send(notify, tcp=False).rcode() == dns.rcode.NOERROR
        # A primary has nobody to be notified by.
        plain = dns.message.make_query("fed.test.", "SOA")
        plain.set_opcode(dns.opcode.NOTIFY)
        assert primary.send(plain, tcp=False).rcode() == dns.rcode.NOTIMP


def test_without_any_primary_the_zone_expires_and_comes_back(tmp_path):
    # refresh 3600, retry 2, expire 3
    with pair(tmp_path, text=HEAD.replace("2 604800", "2 3")) as (primary, follower):
        primary.stop()
        follower.stop()
        follower.start()  # looks at once, and then every two seconds
        wait_until(lambda: follower.rcode() == dns.rcode.SERVFAIL, 20, "the zone has expired")
        assert follower.rcode("ns1", "A") == dns.rcode.SERVFAIL
        with pytest.raises(dns.exception.DNSException):
            dns.query.inbound_xfr("127.0.0.1", dns.zone.Zone("fed.test."), port=follower.port, timeout=5, lifetime=10)
        primary.start()
        wait_until(lambda: follower.rcode() == dns.rcode.NOERROR, 20, "the zone is back")


# ---------------------------------------------------------------- other primaries

def nsd(folder, zone_path, port, notify_port):
    surroundings = nsd_surroundings(folder, f"ip-address: 127.0.0.1@{port}", control=True)
    (folder / "nsd.conf").write_text(f"""{surroundings}key:
  name: transfer
  algorithm: hmac-sha256
  secret: "{SECRET}"
zone:
  name: fed.test
  zonefile: "{zone_path}"
  provide-xfr: 127.0.0.1 transfer
  notify: 127.0.0.1@{notify_port} transfer
""")
    return [tool("nsd"), "-d", "-c", str(folder / "nsd.conf")], [tool("nsd-control"), "-c", str(folder / "nsd.conf"), "reload"]


def knot(folder, zone_path, port, notify_port):
    surroundings = knot_surroundings(folder, port, ("follower", notify_port))
    (folder / "knot.conf").write_text(f"""{surroundings}acl:
  - id: follower
    address: 127.0.0.1
    key: transfer
    action: transfer
template:
  - id: default
    storage: {folder}
    journal-content: all
    zonefile-load: difference
zone:
  - domain: fed.test
    file: {zone_path}
    notify: follower
    acl: follower
""")
    return [tool("knotd"), "-c", str(folder / "knot.conf")], [tool("knotc"), "-s", str(folder / "knot.sock"), "zone-reload", "fed.test"]


@pytest.mark.parametrize("kind", ("nsd", "knotd"))
def test_nsd_and_knot_are_followed(tmp_path, kind):
    if not tool(kind):
        pytest.skip(f"NOT RUN: {kind} is not installed (./dev setup --test)")
    folder = tmp_path / kind
    folder.mkdir()
    zone_path = folder / "zone"
    choose = random.Random(3)

    def write_zone(serial):
        # Over a hundred messages: not each of them is signed.
        lines = [HEAD.replace(" 1 3600", f" {serial} 3600")]
        lines += [f"n{number} TXT \"{number if choose.random() < 0.999 else serial} {'x' * 200}\"\n" for number in range(9000)]
        lines += [f"MiXed{serial} {choose.randrange(1, 999)} MX 10 mail.Example.ORG.\n", "*.wild HINFO a b\n",
                  "odd TYPE65280 \\# 3 abcdef\n", "sub NS ns.sub\nns.sub AAAA ::1\n"]
        zone_path.write_text("".join(lines))
    write_zone(1)
    port, follower_port = free_port(), free_port()
    command, reload = {"nsd": nsd, "knotd": knot}[kind](folder, zone_path, port, follower_port)
    with open(folder / "log", "wb") as log:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, preexec_fn=die_with_parent)
    try:
        follower = Following(tmp_path / "follower", [port])
        follower.listen = [f"127.0.0.1:{follower_port}"]
        with follower:
            wait_until(lambda: follower.has(1), 30, f"the first transfer {(folder / 'log').read_text()}")
            assert records(port, key=True) == records(follower.port)
            for serial in (2, 3):
                write_zone(serial)
                subprocess.run(reload, check=True, capture_output=True)
                wait_until(lambda: follower.has(serial), 30, f"serial {serial} by NOTIFY")
                assert records(port, key=True) == records(follower.port)
    finally:
        process.terminate()
        process.wait(20)


# ---------------------------------------------------------------- evil primaries

class EvilPrimary:
    """Answers a transfer with what `script(query, serial)` gives: messages (signed here, unless they are bytes)
    or None for the end of the connection."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.serial, self.script, self.asked = 1, good_zone, []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                channel, _ = self.listener.accept()
                threading.Thread(target=self._serve, args=(channel,), daemon=True).start()

    def _serve(self, channel):
        with channel, contextlib.suppress(OSError, EOFError, struct.error, dns.exception.DNSException):
            stream = channel.makefile("rb")
            while True:
                size = struct.unpack("!H", stream.read(2))[0]
                query = dns.message.from_wire(stream.read(size), keyring=KEYRING)
                kind = query.question[0].rdtype
                self.asked.append(dns.rdatatype.to_text(kind))
                context = None
                for answer in self.script(query, self.serial):
                    if answer is None:
                        return
                    if not isinstance(answer, bytes):
                        wire = answer.to_wire(multi=True, tsig_ctx=context)
                        context = answer.tsig_ctx
                    else:
                        wire = answer
                    channel.sendall(struct.pack("!H", len(wire)) + wire)

    def stop(self):
        self.listener.close()


def soa(serial, owner="fed.test."):
    return dns.rrset.from_text(owner, 300, "IN", "SOA", f"ns1.fed.test. h.fed.test. {serial} 3600 2 604800 60")


def rr(owner, kind, data):
    return dns.rrset.from_text(owner, 300, "IN", kind, data)


def response(query, rrsets, rcode=0):
    answer = dns.message.make_response(query)
    answer.flags |= dns.flags.AA
    answer.set_rcode(rcode)
    for rrset in rrsets:
        answer.answer.append(rrset)
    answer.use_tsig(KEYRING)
    answer.request_mac = query.mac
    return answer


def body(serial):
    return [rr("fed.test.", "NS", "ns1.fed.test."), rr("ns1.fed.test.", "A", "127.0.0.1"), rr("v.fed.test.", "TXT", f'"{serial}"')]


def good_zone(query, serial):
    return [response(query, [soa(serial), *body(serial), soa(serial)])]


def unsigned(message):
    message.tsig = None
    return message.to_wire()


def flipped(message):
    wire = bytearray(message.to_wire(multi=True))
    wire[40] ^= 1
    return bytes(wire)


EVIL = {
    "cut in the midst": lambda query, serial: [response(query, [soa(serial), *body(serial)]), None],
    "cut in a message": lambda query, serial: [response(query, [soa(serial), *body(serial), soa(serial)]).to_wire(multi=True)[:50], None],
    "a name outside": lambda query, serial: [response(query, [soa(serial), *body(serial), rr("www.bank.test.", "A", "192.0.2.66"), soa(serial)])],
    "another SOA at the end": lambda query, serial: [response(query, [soa(serial), *body(serial), soa(serial + 1)])],
    "a SOA elsewhere": lambda query, serial: [response(query, [soa(serial), *body(serial), soa(3, "x.fed.test."), soa(serial)])],
    "no NS": lambda query, serial: [response(query, [soa(serial), *body(serial)[1:], soa(serial)])],
    "a CNAME beside": lambda query, serial: [response(query, [soa(serial), *body(serial), rr("ns1.fed.test.", "CNAME", "v.fed.test."), soa(serial)])],
    "refused": lambda query, serial: [response(query, [], dns.rcode.REFUSED)],
    "nothing at all": lambda query, serial: [None],
    "not signed": lambda query, serial: [unsigned(response(query, [soa(serial), *body(serial), soa(serial)]))],
    "an altered octet": lambda query, serial: [flipped(response(query, [soa(serial), *body(serial), soa(serial)]))],
    "octets": lambda query, serial: [b"\xc0\x0c" * 100],
    "a wrong digest": lambda query, serial: [response(query, [soa(serial), *body(serial), rr("fed.test.", "ZONEMD", f"{serial} 1 1 {'ab' * 48}"), soa(serial)])],
    "differences that do not fit": lambda query, serial: [response(query, [soa(serial), soa(1), rr("gone.fed.test.", "A", "192.0.2.1"), soa(serial), soa(serial)])],
    "differences from elsewhere": lambda query, serial: [response(query, [soa(serial), soa(77), soa(serial), soa(serial)])],
}


def test_what_an_evil_primary_sends_changes_nothing(tmp_path):
    evil = EvilPrimary()
    try:
        with Following(tmp_path / "follower", [evil.port]) as follower:
            wait_until(lambda: follower.has(1), 20, "the good zone")
            before = records(follower.port)
            notify = dns.message.make_query("fed.test.", "SOA")
            notify.set_opcode(dns.opcode.NOTIFY)
            notify.use_tsig(KEYRING)
            for number, (name, script) in enumerate(EVIL.items()):
                evil.serial, evil.script = number + 2, script
                failures = follower.log().count("transfer.failed")
                assert follower.send(notify, tcp=False).rcode() == dns.rcode.NOERROR
                wait_until(lambda: follower.log().count("transfer.failed") > failures, 20, f"{name}: is refused")
                assert records(follower.port) == before, name
            # It goes on as soon as it is served well; the whole zone where differences would not do.
            evil.serial, evil.script = 99, good_zone
            wait_until(lambda: follower.has(99), 20, "the good zone again")
            assert follower.rdatas("v.fed.test.", "TXT") == {'"99"'}
            assert "AXFR" in evil.asked and "IXFR" in evil.asked
            follower.stop()
            follower.start()
            assert follower.serial() == 99
    finally:
        evil.stop()

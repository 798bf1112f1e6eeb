# ctest: sanitized
"""DNS over TLS (RFC 7858) and transfers over it (RFC 9103), with other people's clients."""

import os
import shutil
import signal
import socket
import ssl
import struct
import subprocess

import dns.edns
import dns.exception
import dns.message
import dns.query
import dns.rcode
import pytest

from daemons import Authority, free_port, wait_until
from netlab import die_with_parent
from secondaries import nsd_surroundings

PADDING = 12


def make_certificate(folder, name="ns1.fed.test"):
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
                    "-nodes", "-keyout", folder / "tls.key", "-out", folder / "tls.pem", "-days", "2",
                    "-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{name},IP:127.0.0.1"],
                   check=True, capture_output=True, timeout=30)


class TlsAuthority(Authority):
    def __init__(self, folder, options=()):
        folder.mkdir(exist_ok=True)
        make_certificate(folder)
        self.tls_port = free_port()
        super().__init__(folder, options=[f"listen_tls = 127.0.0.1:{self.tls_port}",
                                          f"tls_certificate = {folder}/tls.pem",
                                          f"tls_key = {folder}/tls.key", *options])

    def context(self, protocols=("dot",)):
        context = ssl.create_default_context(cafile=self.folder / "tls.pem")
        if protocols:
            context.set_alpn_protocols(list(protocols))
        return context

    def connect(self, context=None, session=None):
        context = context or self.context()
        plain = socket.create_connection(("127.0.0.1", self.tls_port), timeout=10)
        return context.wrap_socket(plain, server_hostname="ns1.fed.test", session=session)

    def ask_tls(self, message):
        return dns.query.tls(message, "127.0.0.1", 10, self.tls_port, ssl_context=self.context(),
                             server_hostname="ns1.fed.test")


@pytest.fixture
def authority(tmp_path):
    with TlsAuthority(tmp_path) as running:
        yield running


def question(name="ns1.fed.test.", kind="A", options=(), **fields):
    return dns.message.make_query(name, kind, use_edns=0, payload=1232, options=list(options), **fields)


def framed(message):
    wire = message.to_wire()
    return struct.pack("!H", len(wire)) + wire


def read_framed(channel):
    data = b""
    while len(data) < 2 or len(data) < 2 + struct.unpack("!H", data[:2])[0]:
        more = channel.recv(65535)
        assert more, "the authority closed the connection"
        data += more
    size = 2 + struct.unpack("!H", data[:2])[0]
    return data[2:size], data[size:]


def test_answers_are_those_of_tcp(authority):
    for name, kind in (("ns1.fed.test.", "A"), ("fed.test.", "SOA"), ("nobody.fed.test.", "A")):
        secret, plain = authority.ask_tls(question(name, kind, id=7)), authority.query(name, kind, tcp=True)
        assert (secret.rcode(), secret.answer, secret.authority) == (plain.rcode(), plain.answer, plain.authority)


def test_updates_come_over_tls(authority):
    update = authority.operator_update()
    update.add("secret", 60, "TXT", '"told to nobody"')
    assert authority.ask_tls(update).rcode() == dns.rcode.NOERROR
    assert authority.rdatas("secret", "TXT") == {'"told to nobody"'}


def test_answers_are_padded_to_blocks_where_the_question_was(authority):
    padded = authority.ask_tls(question(options=[dns.edns.GenericOption(PADDING, b"\0" * 50)]))
    assert len(padded.to_wire()) == 468
    assert any(option.otype == PADDING for option in padded.options)
    plain = authority.ask_tls(question())
    assert not any(option.otype == PADDING for option in plain.options)


def test_kdig_verifies_the_certificate(authority):
    done = subprocess.run(
        ["kdig", f"@127.0.0.1#{authority.tls_port}", "+tls", f"+tls-ca={authority.folder}/tls.pem",
         "+tls-hostname=ns1.fed.test", "+padding", "ns1.fed.test", "A"],
        capture_output=True, text=True, timeout=30, check=True)
    assert "status: NOERROR" in done.stdout and "127.0.0.1" in done.stdout
    assert "TLS1.3" in done.stdout


def test_sessions_are_resumed(authority):
    context = authority.context()
    first = authority.connect(context)
    first.sendall(framed(question()))
    read_framed(first)  # the ticket has come by now
    session = first.session
    first.close()
    second = authority.connect(context, session)
    second.sendall(framed(question()))
    read_framed(second)
    assert second.session_reused and second.version() == "TLSv1.3"
    assert second.selected_alpn_protocol() == "dot"
    second.close()


def test_other_protocols_and_older_versions_are_refused(authority):
    with pytest.raises(ssl.SSLError):
        authority.connect(authority.context(("h2",)))
    older = authority.context()
    older.maximum_version = ssl.TLSVersion.TLSv1_2
    with pytest.raises((ssl.SSLError, ConnectionError)):
        authority.connect(older)
    authority.connect(authority.context(())).close()  # RFC 7858 knows no ALPN


def test_many_questions_in_one_connection_come_back_all(authority):
    with authority.connect() as channel:
        asked = 3000
        for begin in range(0, asked, 500):
            channel.sendall(b"".join(framed(question(id=begin + i)) for i in range(500)))
        rest, seen = b"", set()
        while len(seen) < asked:
            rest += channel.recv(65535)
            while len(rest) >= 2 and len(rest) >= 2 + struct.unpack("!H", rest[:2])[0]:
                size = 2 + struct.unpack("!H", rest[:2])[0]
                seen.add(struct.unpack("!H", rest[2:4])[0])
                rest = rest[size:]
        assert seen == set(range(asked))


def test_a_renewed_certificate_is_taken_up(authority):
    def serial():
        try:
            with authority.connect() as channel:
                return channel.getpeercert()["serialNumber"]
        except ssl.SSLError:  # the client trusts the new certificate alone, and the old one came
            return before
    before = None
    before = serial()
    with authority.connect() as standing:
        make_certificate(authority.folder)
        authority.process.send_signal(signal.SIGHUP)
        wait_until(lambda: serial() != before, what="the new certificate")
        standing.sendall(framed(question()))
        read_framed(standing)  # whoever is there stays
    (authority.folder / "tls.pem").write_text("spoilt")
    authority.process.send_signal(signal.SIGHUP)
    wait_until(lambda: "authority.reload_failed" in authority.log(), what="the refusal in the log")
    assert authority.query("ns1", "A").rcode() == dns.rcode.NOERROR


def test_whoever_never_ends_the_handshake_is_closed(tmp_path):
    with TlsAuthority(tmp_path, options=["tcp_idle = 1s"]) as authority:
        with socket.create_connection(("127.0.0.1", authority.tls_port), timeout=10) as silent:
            assert silent.recv(1) == b""
        with socket.create_connection(("127.0.0.1", authority.tls_port), timeout=10) as noisy:
            noisy.sendall(b"GET / HTTP/1.0\r\n\r\n")
            with pytest.raises(ConnectionError):
                while noisy.recv(4096):
                    pass
                raise ConnectionError
        assert authority.ask_tls(question()).rcode() == dns.rcode.NOERROR


def test_clients_that_vanish_do_no_harm(authority):
    """A write to a connection that was reset raises SIGPIPE where nobody cares for it."""
    reset = struct.pack("ii", 1, 0)  # SO_LINGER of no time: closing resets
    for _ in range(30):
        channel = authority.connect()
        channel.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, reset)
        channel.sendall(framed(question()) * 500)
        channel.close()
    assert authority.ask_tls(question()).rcode() == dns.rcode.NOERROR
    assert authority.alive()


def test_a_zone_that_only_tls_may_carry(tmp_path):
    with TlsAuthority(tmp_path, options=["transfer = 127.0.0.1 tls"]) as authority:
        axfr = ["kdig", "@127.0.0.1", "fed.test", "AXFR", "+time=5"]
        plain = subprocess.run([*axfr, "-p", str(authority.port)], capture_output=True, text=True, timeout=30, check=False)
        assert "hostmaster" not in plain.stdout
        secret = subprocess.run([*axfr, "-p", str(authority.tls_port), "+tls", f"+tls-ca={tmp_path}/tls.pem",
                                 "+tls-hostname=ns1.fed.test"], capture_output=True, text=True, timeout=30, check=True)
        assert secret.stdout.count("SOA") >= 2 and "ns1.fed.test." in secret.stdout


@pytest.mark.skipif(not shutil.which("nsd", path=os.environ["PATH"] + ":/usr/sbin"),
                    reason="NOT RUN: nsd is not installed (./dev setup --test)")
def test_nsd_follows_by_xot(tmp_path):
    with TlsAuthority(tmp_path / "authority", options=["transfer = 127.0.0.1 tls"]) as authority:
        folder, port = tmp_path / "nsd", free_port()
        folder.mkdir()
        surroundings = nsd_surroundings(folder, f"ip-address: 127.0.0.1@{port}", f'tls-cert-bundle: "{authority.folder}/tls.pem"')
        (folder / "nsd.conf").write_text(f"""{surroundings}tls-auth:
  name: authority
  auth-domain-name: ns1.fed.test
zone:
  name: fed.test
  zonefile: zone
  request-xfr: AXFR 127.0.0.1@{authority.tls_port} NOKEY authority
""")
        program = shutil.which("nsd", path=os.environ["PATH"] + ":/usr/sbin")
        with open(folder / "log", "wb") as log:
            nsd = subprocess.Popen([program, "-d", "-c", folder / "nsd.conf"], stdin=subprocess.DEVNULL,
                                   stdout=log, stderr=log, preexec_fn=die_with_parent)
        try:
            def serial():
                try:
                    answer = dns.query.udp(question("fed.test.", "SOA"), "127.0.0.1", 0.3, port)
                except (OSError, dns.exception.DNSException):
                    return None
                return answer.answer[0][0].serial if answer.answer else None
            wait_until(serial, 30, f"NSD has the zone\n{(folder / 'log').read_text()}")
            assert serial() == authority.serial()
        finally:
            nsd.terminate()
            nsd.wait(10)

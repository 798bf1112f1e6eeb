# ctest: sanitized
"""nsupdate -k publishes a service; copies and strangers change nothing."""

import socket
import subprocess

import dns.message
import dns.name
import dns.rcode
import dns.update
import pytest
from conftest import MANIFEST, BASE, Owner
from sig0 import Key, error_text

ALGORITHMS = {"ED25519": 15, "ECDSAP256SHA256": 13}


def generate_key(folder, algorithm, name):
    """dnssec-keygen's key files; the path without suffix."""
    out = subprocess.run(["dnssec-keygen", "-q", "-T", "KEY", "-n", "HOST", "-a", algorithm, "-K", folder, name],
                         check=True, capture_output=True, text=True)
    return folder / out.stdout.strip()


def key_record(path):
    return path.with_name(path.name + ".key").read_text().split(" KEY ", 1)[1].strip()


def nsupdate(authority, key, commands, tcp=False):
    lines = [f"server {authority.address} {authority.port}", f"zone {authority.zone}", *commands, "send"]
    return subprocess.run(["nsupdate", *(["-v"] if tcp else []), "-t", "10", "-k", f"{key}.private"],
                          input="\n".join(lines) + "\n", capture_output=True, text=True)


def dig(authority, *question):
    out = subprocess.run(["dig", f"@{authority.address}", "-p", str(authority.port), "+short", *map(str, question)],
                         check=True, capture_output=True, text=True)
    return out.stdout.strip().splitlines()


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("tcp", [False, True], ids=["udp", "tcp"])
def test_nsupdate_publishes_a_service(authority, tmp_path, algorithm, tcp):
    service = f"blog.{authority.zone}"
    key = generate_key(tmp_path, algorithm, service)
    done = nsupdate(authority, key, [
        f"update add {service} 60 KEY {key_record(key)}",
        f'update add {service} 60 TXT "v=1" "manifest=sha256:{MANIFEST}" "base={BASE}" "ports=80/tcp"'], tcp)
    assert done.returncode == 0, done.stderr
    assert [line.split()[:3] for line in dig(authority, service, "KEY")] == [key_record(key).split()[:3]]
    assert dig(authority, service, "TXT") == [f'"v=1" "manifest=sha256:{MANIFEST}" "base={BASE}" "ports=80/tcp"']

    thief = generate_key(tmp_path, algorithm, service)
    before = authority.serial()
    stolen = nsupdate(authority, thief, [f"update add {service} 60 TXT stolen"], tcp)
    assert "REFUSED" in stolen.stderr
    claimed = nsupdate(authority, thief, [f"update add {service} 60 KEY {key_record(thief)}"], tcp)
    assert "REFUSED" in claimed.stderr
    assert authority.serial() == before


@pytest.mark.parametrize("algorithm", ALGORITHMS.values(), ids=ALGORITHMS)
def test_the_same_packet_again_changes_nothing(authority, algorithm):
    owner = Owner(authority, "blog", Key(algorithm))
    message = owner.update()
    message.add(owner.name, 60, owner.key.rdata())
    packet = owner.key.sign(message, owner.name)
    assert authority.send_wire(packet).rcode() == dns.rcode.NOERROR

    removal = owner.update()
    removal.delete(owner.name)
    owner.must(removal)
    before = authority.serial()
    for _ in range(2):
        for tcp in (False, True):
            answer = authority.send_wire(packet, tcp=tcp)
            assert answer.rcode() == dns.rcode.REFUSED
            # The owner's next request may have been signed a second later; then that says it all.
            reason = error_text(answer)[1]
            assert "executed before" in reason or "signed before a request" in reason
        authority.kill()
        authority.start()
    assert authority.serial() == before
    assert not authority.rdatas(owner.name, "KEY")


def test_every_refusal_says_why(authority):
    owner = Owner(authority, "blog").claim()
    def refused(packet, words, rcode=dns.rcode.REFUSED):
        before = authority.serial()
        answer = authority.send_wire(packet)
        assert answer.rcode() == rcode
        assert words in error_text(answer)[1]
        assert authority.serial() == before

    message = owner.update()
    message.add(owner.name, 60, "TXT", "more")
    refused(message.to_wire(), "must be signed")
    refused(owner.key.sign(message, owner.name, corrupt=True), "does not verify")
    refused(Key().sign(message, owner.name), "no such key")
    refused(owner.key.sign(message, owner.name, inception=0, expiration=0), "are 0")
    refused(owner.key.sign(message, owner.name, inception=1, expiration=2), "expired")
    refused(owner.key.sign(message, dns.name.from_text("example.org.")), "not in this zone")

    for name, words in (("other", "may not write"), (f"_80._tcp.{owner.name}", "never add"),
                        (f"x._admit.{owner.name}", "names no peer")):
        message = owner.update()
        message.add(dns.name.from_text(name, authority.zone), 60, "TXT", "v=1")
        refused(owner.key.sign(message, owner.name), words)
    for name, words in (("x.peers", "register by SRP"), ("a.blog", "belongs to somebody else"), ("_x", "is reserved"),
                        ("www.example.org.lookaside", "proof in real DNS"), ("ns1", "is taken")):
        stranger = Owner(authority, name)
        message = stranger.update()
        message.add(stranger.name, 60, stranger.key.rdata())
        refused(stranger.key.sign(message, stranger.name), words)


def test_derived_lists_are_nobodys_to_write(authority):
    owner = Owner(authority, "blog").claim()
    for name, rdtype, data in ((f"_80._tcp.{owner.name}", "SRV", "0 0 1 ns1"), (owner.name, "A", "192.0.2.1")):
        message = authority.operator_update()
        message.use_edns(0, 0, 1232)
        message.add(name, 60, rdtype, data)
        answer = authority.send(message)
        assert answer.rcode() == dns.rcode.REFUSED
        assert "derived" in error_text(answer)[1]


def test_a_repetition_from_the_same_socket_gets_the_same_answer(authority):
    owner = Owner(authority, "blog")
    message = owner.update()
    message.add(owner.name, 60, owner.key.rdata())
    packet = owner.key.sign(message, owner.name)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as channel:
        channel.settimeout(10)
        channel.connect((authority.address, authority.port))
        answers = []
        for _ in range(3):
            channel.send(packet)
            answers.append(channel.recv(4096))
    assert answers[0] == answers[1] == answers[2]
    assert dns.message.from_wire(answers[0]).rcode() == dns.rcode.NOERROR
    assert authority.send_wire(packet).rcode() == dns.rcode.REFUSED


def test_a_flood_of_bad_signatures_is_cut_off(authority):
    owner = Owner(authority, "blog").claim()
    message = owner.update()
    message.add(owner.name, 60, "TXT", "forged")
    forged = owner.key.sign(message, owner.name, corrupt=True)
    texts = [error_text(authority.send_wire(forged))[1] for _ in range(80)]
    assert any("too many bad signatures" in text for text in texts)
    # Whoever was framed by forged datagrams can still come over TCP.
    good = owner.update()
    good.add(owner.name, 60, "TXT", "good")
    answer = authority.send_wire(owner.key.sign(good, owner.name), tcp=True)
    assert answer.rcode() == dns.rcode.NOERROR, error_text(answer)

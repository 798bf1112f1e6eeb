"""With a trust anchor only what the zone's keys have signed is used, whoever serves it."""
# ctest: sanitized

import os
import shutil
import subprocess

import dns.flags
import dns.message
import dns.rdatatype
import pytest

import lab as laboratory
from daemons import wait_until
from secondaries import nsd_surroundings
from test_with_the_authority import start_authority

ZONE_FILE = """$ORIGIN fed.example.
$TTL {ttl}
@ SOA ns host 1 3600 600 86400 5
@ NS ns
ns A 127.0.0.53
blog TXT "v=1" "manifest=sha256:00" "ports=80/tcp" "admission=open"
www CNAME blog
_80._tcp.blog SRV 0 0 8080 a.peers
*.wild TXT "v=1" "manifest=sha256:00" "ports=80/tcp" "admission=open"
apart.wild TXT "nothing of ours"
outside SRV 0 0 8080 a.peers.example.org.
www.example.org.lookaside TXT "v=1" "manifest=sha256:00" "ports=80/tcp" "admission=open"
_80._tcp.www.example.org.lookaside SRV 0 0 8080 a.peers
a.peers A 127.0.0.11
"""
PROXY = "127.0.0.60"
SECOND = "127.0.0.61"


def tool(name):
    return shutil.which(name, path=os.environ["PATH"] + ":/usr/sbin:/sbin")


def signed_authority(lab, ttl=1, algorithm="ed25519"):
    """mutua-authority with a signed zone; the trust anchor as it prints it."""
    lines = f"dnssec_keys = {lab.folder}/keys", f"dnssec_algorithm = {algorithm}"
    started = start_authority(lab, ZONE_FILE.format(ttl=ttl), *lines)
    printed = subprocess.run([laboratory.programs() / "mutua-authority", "--config", lab.folder / "authority.conf",
                              "keys", "ds"], capture_output=True, text=True, check=True)
    return started, printed.stdout.strip()


def proxy_to(lab, server, address=PROXY):
    mode = lab.folder / f"mode-{address}"
    mode.write_text("pass")
    lab.start(laboratory.PYTHON, laboratory.HERE / "tampering_proxy.py", address, 53, server, 53, mode)
    return mode


def status(lab):
    return lab.control(command="status")["result"]


def looked_up(lab, host):
    """The lookup's result, or its error."""
    said = lab.control(command="lookup", host=host, port=80)
    return said["result"] if "result" in said else said["error"]


@pytest.mark.parametrize("algorithm", ("ed25519", "ecdsap256sha256"))
def test_the_signed_zone_of_our_authority_is_believed(lab, algorithm):
    _, anchor = signed_authority(lab, 60, algorithm)
    lab.start_resolver(trust_anchor=anchor, lookaside="yes")
    lab.peer("http", "127.0.0.11")
    for name in ("blog.fed.example", "www.fed.example", "x.wild.fed.example", "www.example.org"):
        assert lab.lookup(name)["held"], name
    for name in ("blog.fed.example", "www.fed.example", "www.example.org"):
        assert lab.curl(f"http://{name}/").stdout == "127.0.0.11", name
    for name in ("nobody.fed.example", "apart.wild.fed.example", "peers.fed.example", "www.debian.org"):
        assert lab.lookup(name) == {"host": name, "held": False}
    known = status(lab)
    assert known["validates"] and known["failed_questions"] == 0 and known["refused_answers"] == 0
    assert [key["trust_anchor"] for key in known["zone_keys"]] == [True]


def test_whatever_is_altered_is_never_used(lab):
    _, anchor = signed_authority(lab)
    mode = proxy_to(lab, laboratory.AUTHORITY)
    lab.start_resolver(trust_anchor=anchor, authority=PROXY)
    assert looked_up(lab, "blog.fed.example")["held"]
    for how, reason in (("strip", "RRSIGs Missing"), ("flip", "DNSSEC Bogus"), ("expired", "Signature Expired"),
                        ("signer", "DNSSEC Bogus"), ("nxdomain", "NSEC Missing"), ("nodata", "NSEC Missing")):
        mode.write_text(how)
        # Every name anew, so that nothing stale is at hand.
        assert lab.control(command="flush")["result"] == {}
        assert reason in looked_up(lab, "blog.fed.example"), how
        assert lab.address_of("blog.fed.example") is None
    mode.write_text("wildcard")
    assert looked_up(lab, "other.wild.fed.example")["held"], "rightly"
    assert "NSEC Missing" in looked_up(lab, "apart.wild.fed.example"), "a name that exists"
    mode.write_text("strip")
    assert lab.control(command="flush")["result"] == {}
    assert "RRSIGs Missing" in looked_up(lab, "nobody.fed.example") or \
        "NSEC Missing" in looked_up(lab, "nobody.fed.example")
    assert "nameserver.not_used" in lab.log()
    assert status(lab)["authorities"][0]["last_failure"]


def test_another_authority_is_asked_when_one_lies_or_is_silent(lab):
    _, anchor = signed_authority(lab, 60)
    mode = proxy_to(lab, laboratory.AUTHORITY)
    mode.write_text("strip_keys")
    lab.start_resolver(trust_anchor=anchor, authority=[PROXY, laboratory.AUTHORITY])
    assert looked_up(lab, "blog.fed.example")["held"]
    mode.write_text("flip")
    assert looked_up(lab, "www.fed.example")["held"]
    mode.write_text("silent")
    assert looked_up(lab, "x.wild.fed.example")["held"]
    first, second = status(lab)["authorities"]
    assert first["standing"] == "away" and second["standing"] == "answers"


def test_a_key_that_no_anchor_names_is_nobody(lab):
    signed_authority(lab)
    (lab.folder / "anchors").write_text(
        "; of somebody else's zone key\nfed.example. IN DS 1 15 2 " + "00" * 32 + "\n")
    lab.start_resolver(trust_anchor=lab.folder / "anchors")
    assert "none of its keys is a trust anchor" in looked_up(lab, "blog.fed.example")
    assert lab.address_of("blog.fed.example") is None


def test_a_key_roll_is_followed_as_far_as_an_anchor_signs_the_keys(lab):
    authority, anchor = signed_authority(lab)
    command = [laboratory.programs() / "mutua-authority", "--config", lab.folder / "authority.conf", "keys"]
    lab.start_resolver(trust_anchor=anchor)
    assert looked_up(lab, "blog.fed.example")["held"]
    rolled = subprocess.run([*command, "roll"], capture_output=True, text=True, check=True)
    wait_until(lambda: len(status_after_lookup(lab)["zone_keys"]) == 2, 20, what="the zone's new key is known")
    keys = {key["tag"]: key["trust_anchor"] for key in status(lab)["zone_keys"]}
    assert keys[int(rolled.stdout)] is False and True in keys.values()
    assert looked_up(lab, "www.fed.example")["held"]


def status_after_lookup(lab):
    # After a flush nothing is known, the keys neither.
    lab.control(command="flush")
    looked_up(lab, "blog.fed.example")
    return status(lab)


def stub_answer(lab, name, rdtype, flags=0, want_dnssec=False):
    query = dns.message.make_query(name, rdtype, use_edns=0, want_dnssec=want_dnssec)
    query.flags |= flags
    code = ("import socket,sys; s=socket.socket(socket.AF_INET,socket.SOCK_DGRAM); s.settimeout(10);"
            "s.sendto(bytes.fromhex(sys.argv[1]),('127.0.0.55',53)); print(s.recv(65535).hex())")
    return dns.message.from_wire(bytes.fromhex(lab.python(code, query.to_wire().hex()).strip()))


def test_the_stub_gives_what_is_proven_and_says_why_not(lab):
    _, anchor = signed_authority(lab)
    mode = proxy_to(lab, laboratory.AUTHORITY)
    lab.start_resolver(trust_anchor=anchor, authority=PROXY, stub_listen="127.0.0.55")
    plain = stub_answer(lab, "blog.fed.example.", "TXT")
    assert plain.rcode() == 0 and len(plain.answer) == 1 and not plain.flags & dns.flags.AD
    proven = stub_answer(lab, "blog.fed.example.", "TXT", want_dnssec=True)
    assert proven.flags & dns.flags.AD and len(proven.answer) == 2, "with its signature"
    absent = stub_answer(lab, "nobody.fed.example.", "TXT")
    assert absent.rcode() == 3 and [dns.rdatatype.to_text(rrset.rdtype) for rrset in absent.authority] == ["SOA"]
    mode.write_text("strip")
    refused = stub_answer(lab, "blog.fed.example.", "TXT")
    assert refused.rcode() == 2 and any(option.otype == 15 for option in refused.options)
    unchecked = stub_answer(lab, "blog.fed.example.", "TXT", flags=dns.flags.CD)
    assert unchecked.rcode() == 0 and unchecked.answer, "who checks by itself gets it as it is"


SIGNERS = ("ldns-signzone", "dnssec-signzone")


def sign_with(signer, folder):
    """The signed zone's file and its DS, made by Debian's tools."""
    def run(*command):
        return subprocess.run([tool(command[0]), *command[1:]], cwd=folder, capture_output=True, text=True,
                              check=True).stdout
    (folder / "plain").write_text(ZONE_FILE.format(ttl=60))
    if signer == "ldns-signzone":
        key = run("ldns-keygen", "-a", "ECDSAP256SHA256", "-k", "fed.example").strip()
        run("ldns-signzone", "-f", "signed", "plain", key)
        return folder / "signed", run("ldns-key2ds", "-n", "-2", f"{key}.key").strip()
    key = run("dnssec-keygen", "-q", "-a", "ED25519", "-f", "KSK", "fed.example").strip()
    run("dnssec-keygen", "-q", "-a", "ED25519", "fed.example")
    run("dnssec-signzone", "-S", "-x", "-o", "fed.example", "-f", "signed", "plain")
    return folder / "signed", run("dnssec-dsfromkey", "-a", "SHA-384", f"{key}.key").strip()


@pytest.mark.parametrize("signer", SIGNERS)
def test_a_zone_signed_by_others_and_served_by_nsd_is_believed(lab, signer):
    for name in (signer, "nsd"):
        if not tool(name):
            pytest.skip(f"NOT RUN: {name} is not installed (./dev setup --test)")
    signed, anchor = sign_with(signer, lab.folder)
    config = lab.folder / "nsd.conf"
    config.write_text(nsd_surroundings(lab.folder, f"ip-address: {SECOND}@53")
                      + f'zone:\n  name: "fed.example"\n  zonefile: "{signed}"\n')
    nsd = lab.start("sh", "-c", f"echo ready; exec {tool('nsd')} -d -c {config}")
    mode = proxy_to(lab, SECOND)
    lab.start_resolver(trust_anchor=anchor, authority=PROXY, lookaside="yes")
    lab.peer("http", "127.0.0.11")
    wait_until(lambda: isinstance(looked_up(lab, "blog.fed.example"), dict), 10, what="NSD answers")
    for name in ("blog.fed.example", "www.fed.example", "x.wild.fed.example", "www.example.org"):
        assert lab.lookup(name)["held"], name
    assert lab.curl("http://blog.fed.example/").stdout == "127.0.0.11"
    for name in ("nobody.fed.example", "apart.wild.fed.example", "peers.fed.example", "www.debian.org"):
        assert lab.lookup(name) == {"host": name, "held": False}
    for how in ("strip", "flip", "expired", "signer", "nxdomain", "nodata"):
        mode.write_text(how)
        assert lab.control(command="flush")["result"] == {}
        assert isinstance(looked_up(lab, "blog.fed.example"), str), how
    mode.write_text("wildcard")
    assert looked_up(lab, "other.wild.fed.example")["held"]
    assert "NSEC Missing" in looked_up(lab, "apart.wild.fed.example")
    assert nsd.process.poll() is None

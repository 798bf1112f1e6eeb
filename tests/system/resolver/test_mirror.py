"""With a mirror nobody is asked about single names, and nobody has to be there."""
# ctest: sanitized

import signal
import subprocess

import dns.tsigkeyring
import dns.update
import pytest

import lab as laboratory
from daemons import wait_until
from secondaries import nsd_surroundings
from test_trust import SECOND, ZONE_FILE, sign_with, status, tool
from test_with_the_authority import start_authority

NAMES = ("blog.fed.example", "www.fed.example", "x.wild.fed.example", "www.example.org")
NO_NAMES = ("nobody.fed.example", "apart.wild.fed.example", "peers.fed.example", "www.debian.org")
SECRET = "c2VjcmV0IG9mIHRoZSBvcGVyYXRvciBvZiB0aGlzIHo="


def start_signed(lab, *more, allowed="127.0.0.0/8"):
    secret = lab.folder / "secret"
    secret.write_text(SECRET + "\n")
    secret.chmod(0o600)
    authority = start_authority(lab, ZONE_FILE.format(ttl=1), f"dnssec_keys = {lab.folder}/keys",
                                f"transfer = {allowed}", f"tsig_key = operator hmac-sha256 {secret}", *more)
    printed = subprocess.run([laboratory.programs() / "mutua-authority", "--config", lab.folder / "authority.conf",
                              "keys", "ds"], capture_output=True, text=True, check=True)
    return authority, printed.stdout.strip()


def update(lab, name, rdtype, *rdatas):
    keyring = dns.tsigkeyring.from_text({"operator": ("hmac-sha256", SECRET)})
    message = dns.update.UpdateMessage("fed.example.", keyring=keyring, keyname="operator", keyalgorithm="hmac-sha256.")
    message.replace(name, 1, rdtype, *rdatas)
    code = ("import socket,sys; s=socket.create_connection((sys.argv[1],53),10); b=bytes.fromhex(sys.argv[2]);"
            "s.sendall(len(b).to_bytes(2,'big')+b); print(s.recv(65535)[2:].hex())")
    answer = lab.python(code, laboratory.AUTHORITY, message.to_wire().hex())
    assert bytes.fromhex(answer)[3] & 15 == 0, "NOERROR"


def mirror(lab):
    return status(lab)["mirror"]


def start_mirror(lab, anchor, **more):
    lab.start_resolver(trust_anchor=anchor, mirror="yes", state=lab.folder / "state", lookaside="listed",
                       mirror_refresh="1s", **more)


def held(lab):
    return {name: lab.lookup(name).get("held") for name in NAMES + NO_NAMES}


WANTED = {**{name: True for name in NAMES}, **{name: False for name in NO_NAMES}}


@pytest.mark.parametrize("denial", ("nsec", "nsec3"))
def test_nobody_is_asked_and_changes_come_by_themselves(lab, denial):
    _, anchor = start_signed(lab, f"dnssec_denial = {denial}")
    start_mirror(lab, anchor)
    lab.peer("http", "127.0.0.11")
    wait_until(lambda: mirror(lab)["serves"], 10, what="the zone has come")
    assert held(lab) == WANTED
    assert lab.curl("http://blog.fed.example/").stdout == "127.0.0.11"
    assert lab.curl("http://www.example.org/").stdout == "127.0.0.11"
    known = status(lab)
    assert known["proven_answers"] == 0 and known["authorities"][0]["standing"] == "untried", "nobody was asked"
    before = mirror(lab)["serial"]
    update(lab, "new", "TXT", '"v=1" "manifest=sha256:00" "ports=80/tcp" "admission=open"')
    wait_until(lambda: lab.lookup("new.fed.example")["held"], 10, what="the change has come")
    assert mirror(lab)["serial"] > before
    assert lab.log().count("mirror.taken") == 1, "the rest came as differences"


def test_what_was_fetched_survives_kill_9_and_serves_without_anybody(lab):
    authority, anchor = start_signed(lab)
    start_mirror(lab, anchor)
    lab.peer("http", "127.0.0.11")
    file = lab.folder / "state" / "fed.example.mirror"
    wait_until(file.exists, 10, what="the mirror is on disk")
    authority.end()
    lab.resolver.end(signal.SIGKILL)
    start_mirror(lab, anchor)
    wait_until(lambda: mirror(lab)["serves"], 10, what="the file is proven")
    assert "mirror.loaded" in lab.log()
    assert held(lab) == WANTED
    assert lab.curl("http://blog.fed.example/").stdout == "127.0.0.11"
    assert mirror(lab)["serves"]
    # A file that is damaged, or another key's, is as good as none.
    lab.resolver.end(signal.SIGKILL)
    good = file.read_bytes()
    file.write_bytes(good[:-40] + b"x" + good[-39:])
    start_mirror(lab, anchor)
    wait_until(lambda: "damaged" in lab.log(), 10, what="the damage is seen")
    assert not mirror(lab)["serves"]
    lab.resolver.end(signal.SIGKILL)
    file.write_bytes(good)
    start_mirror(lab, "fed.example. IN DS 1 15 2 " + "00" * 32)
    wait_until(lambda: "none of its keys is a trust anchor" in lab.log(), 10, what="the file is another key's")
    assert not mirror(lab)["serves"]


def test_the_authority_may_forge_nothing(lab):
    """The same zone with one record altered, served by one that has no key."""
    for name in ("ldns-signzone", "nsd"):
        if not tool(name):
            pytest.skip(f"NOT RUN: {name} is not installed (./dev setup --test)")
    signed, anchor = sign_with("ldns-signzone", lab.folder)
    text = signed.read_text()
    assert "127.0.0.11" in text
    config = lab.folder / "nsd.conf"
    config.write_text(nsd_surroundings(lab.folder, f"ip-address: {SECOND}@53")
                      + f'zone:\n  name: "fed.example"\n  zonefile: "{signed}"\n  provide-xfr: 127.0.0.0/8 NOKEY\n')

    def nsd():
        return lab.start("sh", "-c", f"echo ready; exec {tool('nsd')} -d -c {config}")

    signed.write_text(text.replace("127.0.0.11", "127.0.0.66"))
    server = nsd()
    start_mirror(lab, anchor, authority=SECOND)
    wait_until(lambda: "its signature is wrong" in mirror(lab).get("last_failure", ""), 10, what="it is refused")
    assert not mirror(lab)["serves"]
    server.end(signal.SIGTERM)
    signed.write_text(text)
    nsd()
    wait_until(lambda: mirror(lab)["serves"], 20, what="the zone as it was signed is taken")
    assert held(lab) == WANTED


@pytest.mark.parametrize("has_mirror", (False, True))
def test_who_checks_by_himself_behind_the_stub_is_given_the_proofs(lab, has_mirror):
    if not tool("delv"):
        pytest.skip("NOT RUN: delv is not installed (./dev setup --test)")
    authority, anchor = start_signed(lab)
    if has_mirror:
        start_mirror(lab, anchor, stub_listen="127.0.0.55", upstream=laboratory.UPSTREAM)
        wait_until(lambda: mirror(lab)["serves"], 10, what="the zone has come")
        authority.end()
    else:
        lab.start_resolver(trust_anchor=anchor, stub_listen="127.0.0.55", upstream=laboratory.UPSTREAM)
    words = anchor.split()
    anchors = lab.folder / "bind.anchors"
    anchors.write_text('trust-anchors {{ fed.example. static-ds {} {} {} "{}"; }};\n'.format(
        *words[-4:-1], words[-1]))
    for name, rdtype, wanted in (("blog.fed.example", "TXT", "; fully validated"),
                                 ("www.fed.example", "TXT", "; fully validated"),
                                 ("x.wild.fed.example", "TXT", "; fully validated"),
                                 ("_80._tcp.blog.fed.example", "SRV", "; fully validated"),
                                 ("nobody.fed.example", "TXT", "; negative response, fully validated"),
                                 ("peers.fed.example", "TXT", "; negative response, fully validated"),
                                 ("apart.wild.fed.example", "SRV", "; negative response, fully validated")):
        for checking in ("+cdflag", "+nocdflag"):
            done = lab.run("delv", "@127.0.0.55", "-a", str(anchors), "+root=fed.example", checking, name, rdtype)
            assert wanted in done.stdout, f"{name} {rdtype}: {done.stdout}{done.stderr}"


TRANSFER_SECRET = "c2VjcmV0IG9mIHRoZSBtaXJyb3JzIG9mIHRoaXMgbGFi"


def transfer_key(lab, secret, file="mirrors.secret"):
    path = lab.folder / file
    path.write_text(secret + "\n")
    path.chmod(0o600)
    return f"mirrors hmac-sha256 {path}"


@pytest.mark.parametrize("kind", ("mirror", "list"))
def test_transfers_for_friends_alone_are_given_to_who_has_the_key(lab, kind):
    key = transfer_key(lab, TRANSFER_SECRET)
    _, anchor = start_signed(lab, f"transfer_key = {key}", allowed="127.0.0.0/8 mirrors")

    def start(**more):
        if kind == "mirror":
            start_mirror(lab, anchor, **more)
        else:
            lab.start_resolver(lookaside="listed", trust_anchor=anchor, **more)

    complaint = "mirror.not_refreshed" if kind == "mirror" else "name_list.unavailable"
    for wrong in ({}, {"transfer_key": transfer_key(lab, SECRET, "others.secret")}):
        start(**wrong)
        wait_until(lambda: complaint in lab.log(), 10, what="it is refused, and says so")
        assert not lab.lookup("www.example.org")["held"]
        assert lab.resolver.end(signal.SIGTERM) == 0
        (lab.folder / "resolver.log").unlink()
    start(transfer_key=key)
    wait_until(lambda: lab.lookup("www.example.org")["held"], 10, what="the zone has come")
    assert held(lab) == WANTED
    assert complaint not in lab.log()
    if kind == "mirror":
        update(lab, "new", "TXT", '"v=1" "manifest=sha256:00" "ports=80/tcp" "admission=open"')
        wait_until(lambda: lab.lookup("new.fed.example")["held"], 10, what="differences come signed, too")

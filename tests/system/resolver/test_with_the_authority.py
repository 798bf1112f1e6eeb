"""The same path with mutua-authority itself instead of the small stand-in."""
# ctest: sanitized

import signal

import lab as laboratory
from daemons import wait_until

ZONE_FILE = """$ORIGIN fed.example.
$TTL 60
@ SOA ns host 1 3600 600 86400 5
@ NS ns
ns A 127.0.0.53
blog TXT "v=1" "manifest=sha256:00" "ports=80/tcp" "admission=open"
www CNAME blog
_80._tcp.blog SRV 0 0 8080 a.peers
_80._tcp.blog SRV 0 0 8080 b.peers
a.peers A 127.0.0.11
b.peers A 127.0.0.12
"""


def start_authority(lab, zone, *more):
    (lab.folder / "zone").write_text(zone)
    (lab.folder / "authority.conf").write_text("\n".join([
        "zone = fed.example", f"database = {lab.folder}/database", f"zone_file = {lab.folder}/zone",
        f"listen = {laboratory.AUTHORITY}:53", *more, ""]))
    return lab.start(laboratory.programs() / "mutua-authority", "--config", lab.folder / "authority.conf",
                     errors=lab.folder / "authority.log")


def test_names_that_are_not_listed_are_never_told_to_the_authority(lab):
    aside = ('www.example.org.lookaside TXT "v=1" "manifest=sha256:00" "ports=80/tcp" "admission=open"\n'
             "_80._tcp.www.example.org.lookaside SRV 0 0 8080 a.peers\n")
    start_authority(lab, ZONE_FILE + aside, "transfer = 127.0.0.0/8")
    lab.start_resolver(lookaside="listed")
    lab.peer("http", "127.0.0.11")
    wait_until(lambda: lab.address_of("www.example.org"), 20, what="the list has come")
    assert lab.curl("http://www.example.org/").stdout == "127.0.0.11"

    def questions():
        return lab.control(command="status")["result"]["questions"]

    before = questions()
    for name in ("www.debian.org", "example.org", "mail.example.org", "localhost.localdomain"):
        assert lab.address_of(name) is None
        assert lab.lookup(name) == {"host": name, "held": False}
    assert questions() == before
    assert lab.address_of("nobody.fed.example") is None
    assert questions() == before + 1


def test_without_a_list_no_name_outside_the_zone_is_asked_about(lab):
    start_authority(lab, ZONE_FILE)
    lab.start_resolver(lookaside="listed")
    wait_until(lambda: "name_list.unavailable" in lab.log(), 20, what="the refusal is logged")
    assert lab.address_of("www.example.org") is None
    assert lab.address_of("blog.fed.example")
    assert lab.resolver.end(signal.SIGTERM) == 0


def test_names_of_the_real_authority_are_found_and_others_relinquished(lab):
    start_authority(lab, ZONE_FILE)
    lab.start_resolver(lookaside="yes")
    for address in ("127.0.0.11", "127.0.0.12"):
        lab.peer("http", address)
    answers = [lab.curl("http://blog.fed.example/").stdout for _ in range(4)]
    assert sorted(answers[:2]) == ["127.0.0.11", "127.0.0.12"]
    assert set(answers) == {"127.0.0.11", "127.0.0.12"}
    assert lab.curl("http://www.fed.example/").stdout in answers, "through a CNAME"
    assert lab.lookup("www.fed.example")["canonical"] == "blog.fed.example"
    assert lab.lookup("nobody.fed.example") == {"host": "nobody.fed.example", "held": False}
    assert lab.lookup("www.example.org")["held"] is False, "refused, so real DNS has the word"
    assert lab.control(command="status")["result"]["failed_questions"] == 0

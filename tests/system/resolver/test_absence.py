"""Nobody answers for a day, one of several is silent, the machine slept: lookups go on and connections choose well.

Every process of a test sees the same clock, which the test moves (libfaketime)."""
import pathlib
import signal
import time

import pytest

import lab as laboratory
from daemons import wait_until
from secondaries import nsd_surroundings
from test_mirror import held, mirror, start_mirror, start_signed, update, WANTED
from test_trust import SECOND, status, tool

FAKETIME = pathlib.Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1")
PEERS = ("127.0.0.11", "127.0.0.12")
HOUR = 3600


class Time:
    """The clock of everything that the lab starts from now on."""

    def __init__(self, lab):
        if not FAKETIME.exists():
            pytest.skip("NOT RUN: libfaketime is not installed (./dev setup --test)")
        self.file = lab.folder / "faketime"
        self.offset = 0
        self.advance(0)
        lab.environment.update(LD_PRELOAD=str(FAKETIME), FAKETIME_TIMESTAMP_FILE=str(self.file), FAKETIME_NO_CACHE="1")

    def advance(self, seconds):
        self.offset += seconds
        temporary = self.file.with_suffix(".new")
        temporary.write_text(f"+{self.offset}\n")
        temporary.rename(self.file)


def start_nsd(lab):
    """A secondary of the authority; it serves once it has the zone."""
    if not tool("nsd"):
        pytest.skip("NOT RUN: nsd is not installed (./dev setup --test)")
    config = lab.folder / "nsd.conf"
    config.write_text(nsd_surroundings(lab.folder, f"ip-address: {SECOND}@53")
                      + f'zone:\n  name: "fed.example"\n  zonefile: "{lab.folder}/secondary"\n'
                        f"  request-xfr: AXFR {laboratory.AUTHORITY}@53 NOKEY\n  provide-xfr: 127.0.0.0/8 NOKEY\n"
                        f"  allow-notify: 127.0.0.0/8 NOKEY\n")
    server = lab.start("sh", "-c", f"echo ready; exec {tool('nsd')} -d -c {config}")
    # (dig does not bear libfaketime.)
    code = ("import dns.message,dns.query; "
            f"print(dns.query.tcp(dns.message.make_query('www.fed.example', 'CNAME'), '{SECOND}', 10).answer)")
    wait_until(lambda: "blog" in lab.python(code), 15, what="the secondary has the zone")
    return server


@pytest.mark.parametrize("has_mirror", (False, True))
def test_lookups_go_on_for_a_day_when_the_authority_and_its_secondary_are_dead(lab, has_mirror):
    clock = Time(lab)
    authority, anchor = start_signed(lab)
    update(lab, "b.peers", "A", PEERS[1])
    update(lab, "_80._tcp.both", "SRV", "0 0 8080 a.peers", "0 0 8080 b.peers")
    update(lab, "both", "TXT", '"v=1" "manifest=sha256:00" "ports=80/tcp" "admission=open"')
    secondary = start_nsd(lab)
    peers = [lab.peer("http", address) for address in PEERS]
    servers = [laboratory.AUTHORITY, SECOND]
    if has_mirror:
        start_mirror(lab, anchor, authority=servers)
        wait_until(lambda: mirror(lab)["serves"], 10, what="the zone has come")
    else:
        lab.start_resolver(trust_anchor=anchor, authority=servers, lookaside="yes")
        assert held(lab) == WANTED
    assert {lab.curl("http://both.fed.example/").stdout for _ in range(4)} == set(PEERS)

    for server in (authority, secondary):
        server.end()
    for hour in range(0, 25, 4):
        begun = time.monotonic()
        if has_mirror:
            assert held(lab) == WANTED, f"after {hour} hours"  # names that were never looked up before, too
        answers = {lab.curl("http://both.fed.example/").stdout for _ in range(4)}
        # A peer that dies meanwhile is gone round.
        assert answers <= ({PEERS[1]} if hour in (8, 12) else set(PEERS)), f"after {hour} hours"
        assert time.monotonic() - begun < 10
        if hour == 4:
            peers[0].end()
        if hour == 12:
            peers[0] = lab.peer("http", PEERS[0])
        clock.advance(4 * HOUR)
    peers[1].end()
    assert lab.curl("http://both.fed.example/").stdout == PEERS[0], "the one that had been away is there for us"
    # Not for ever.
    clock.advance(3 * 24 * HOUR)
    assert "error" in lab.control(command="lookup", host="both.fed.example", port=80)


def test_the_secondary_answers_when_the_authority_is_dead_and_quickly_so(lab):
    Time(lab)
    authority, anchor = start_signed(lab)
    start_nsd(lab)
    lab.start_resolver(trust_anchor=anchor, authority=[laboratory.AUTHORITY, SECOND], lookaside="yes")
    authority.process.send_signal(signal.SIGSTOP)  # silent, which is worse than dead
    begun = time.monotonic()
    assert lab.lookup("blog.fed.example")["held"]
    assert time.monotonic() - begun < 5
    begun = time.monotonic()
    assert held(lab) == WANTED
    assert time.monotonic() - begun < 2 + 0.4 * 2, "it is known who is silent"
    assert [one["standing"] for one in status(lab)["authorities"]] == ["away", "answers"]
    authority.process.send_signal(signal.SIGCONT)


@pytest.mark.parametrize("has_mirror", (False, True))
def test_after_a_day_asleep_everything_is_looked_up_anew(lab, has_mirror):
    clock = Time(lab)
    _, anchor = start_signed(lab)
    lab.peer("http", PEERS[0])
    lab.peer("http", PEERS[1])
    if has_mirror:
        start_mirror(lab, anchor)
        wait_until(lambda: mirror(lab)["serves"], 10, what="the zone has come")
    else:
        lab.start_resolver(trust_anchor=anchor, lookaside="yes")
    assert lab.curl("http://blog.fed.example/").stdout == PEERS[0]
    lab.resolver.process.send_signal(signal.SIGSTOP)
    update(lab, "a.peers", "A", PEERS[1])
    clock.advance(24 * HOUR)
    lab.resolver.process.send_signal(signal.SIGCONT)
    # The mirror is a second behind, and what it says may be kept for its TTL, a second too.
    wait_until(lambda: lab.curl("http://blog.fed.example/").stdout == PEERS[1], 10, what="the new address is known")
    assert held(lab) == WANTED
    assert status(lab)["failed_questions"] == 0

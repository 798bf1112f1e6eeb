# ctest: timeout=600
"""Two authorities on one PostgreSQL: any takes updates, both serve the same, kill -9 loses nothing.

MUTUA_POSTGRESQL_UPDATES says how many updates the test of kills must see acknowledged; 10000 is the
full run."""

import contextlib
import os
import subprocess
import threading
import time

import dns.exception
import dns.message
import dns.name
import dns.query
import dns.rcode
import dns.zone
import pytest

from conftest import Owner, commit, set_base
from daemons import Authority, program, wait_until
from postgres import PostgresServer, address
from sig0 import Key

UPDATES = int(os.environ.get("MUTUA_POSTGRESQL_UPDATES", "1500"))
CLIENTS_OF_EACH = 3


def command(authority, *words, check=True):
    """Runs a command of mutua-authority; its output."""
    authority.write_config()
    done = subprocess.run([program("mutua-authority"), *map(str, authority.command[1:]), *map(str, words)],
                          text=True, capture_output=True, timeout=60, check=False)
    assert not check or done.returncode == 0, done.stderr
    return done.stdout if check else done


@pytest.fixture
def primary():
    with PostgresServer() as server:
        server.create().start()
        server.create_database()
        yield server


@pytest.fixture
def pair(primary, tmp_path):
    """Two authorities, with the same keys."""
    with contextlib.ExitStack() as stack:
        yield start_pair(stack, tmp_path, primary)


def start_pair(stack, folder, *servers):
    keys = folder / "keys"
    pair = [Authority(folder / name, database=address(*servers),
                      options=[f"dnssec_keys = {keys}", "transfer = 127.0.0.0/8"]) for name in ("one", "two")]
    pair[1].secret = pair[0].secret
    command(pair[0], "migrate", address(*servers, role="owner"))
    for authority in pair:
        stack.enter_context(authority)
    return pair


def add(authority, name, content="192.0.2.1"):
    message = authority.operator_update()
    message.add(name, 60, "A", content)
    return authority.send(message).rcode()


def transfer(authority):
    """Every record that an AXFR brings."""
    zone = dns.zone.from_xfr(dns.query.xfr(authority.address, authority.zone, port=authority.port, relativize=False),
                             relativize=False)
    return sorted(f"{name} {ttl} {rdata.to_text()}" for name, ttl, rdata in zone.iterate_rdatas())


def assert_both_serve_the_same(pair, names):
    wait_until(lambda: pair[0].serial() == pair[1].serial(), 20, "the same serial")
    assert transfer(pair[0]) == transfer(pair[1])
    for name in names:
        query = dns.message.make_query(dns.name.from_text(name, pair[0].zone), "A", want_dnssec=True, id=4711)
        one, two = [dns.query.tcp(query, authority.address, 5, authority.port).to_wire() for authority in pair]
        assert one == two


def test_what_one_takes_the_other_serves_within_milliseconds(pair):
    one, two = pair
    delays = []
    for number in range(40):
        taker, server = pair if number % 2 == 0 else reversed(pair)
        assert add(taker, f"n{number}") == dns.rcode.NOERROR
        started = time.monotonic()
        wait_until(lambda: server.rdatas(f"n{number}", "A"), 10, "the other serves it", interval=0.001)
        delays.append(time.monotonic() - started)
    delays.sort()
    assert delays[len(delays) // 2] < 0.1, delays  # polling alone would need half a second
    assert_both_serve_the_same([one, two], ["n1", "n39", "nobody", "ns1"])


def test_without_notifications_the_other_follows_within_seconds(pair, primary):
    one, two = pair
    listening = "SELECT count(*) FROM pg_stat_activity WHERE query ILIKE 'listen%'"
    # The listeners lose their sessions and may not come back: one connection each is all there is.
    primary.sql("ALTER ROLE daemon CONNECTION LIMIT 2")
    primary.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query ILIKE 'listen%'")
    assert add(one, "a") == dns.rcode.NOERROR
    assert primary.sql(listening) == "0"
    wait_until(lambda: two.rdatas("a", "A"), 10, "the other serves it")
    assert_both_serve_the_same(pair, ["a"])


def test_the_federation_may_speak_to_either(pair):
    one, two = pair
    set_base(one, "trusted")
    key, peer = Key(), Key()
    owner = Owner(two, "blog", key).claim(admission="audited")
    assert commit(one, peer, owner).rcode() == dns.rcode.NOERROR
    owner.authority = one
    owner.admit(peer)
    for authority in pair:
        owner.authority = authority
        wait_until(lambda: owner.served() == {peer.peer_id()}, 10, "the peer is served")
    owner.deny(peer)
    owner.authority = one
    wait_until(lambda: not owner.served(), 10, "the denial counts everywhere")


def test_a_request_that_one_has_executed_is_refused_by_the_other(pair):
    one, two = pair
    owner = Owner(one, "blog")
    message = owner.update()
    message.add(owner.name, 60, owner.key.rdata())
    wire = owner.key.sign(message, owner.name)
    assert one.send_wire(wire).rcode() == dns.rcode.NOERROR
    assert two.send_wire(wire).rcode() == dns.rcode.REFUSED


def test_a_zone_moves_between_sqlite_and_postgresql_with_its_leases(primary, tmp_path):
    with Authority(tmp_path / "sqlite") as old:
        set_base(old, "trusted")
        owner, peer = Owner(old, "blog").claim(), Key()
        assert commit(old, peer, owner, lease=600).rcode() == dns.rcode.NOERROR
        assert owner.served() == {peer.peer_id()}
        before = old.serial()
        assert old.stop() == 0
        moved = Authority(tmp_path / "postgresql", database=address(primary))
        moved.zone_text = "; nothing: all of it must come from the other database\n"
        command(moved, "migrate", address(primary, role="owner"))
        command(moved, "import", old.database)
        assert "1 leases" in command(moved, "check") or "2 leases" in command(moved, "check")
        assert command(moved, "import", old.database, check=False).returncode == 1  # it is not empty
        with moved:
            assert moved.serial() == before
            owner.authority = moved
            assert owner.served() == {peer.peer_id()}
        command(moved, "export", tmp_path / "exported.zone")
        back = Authority(tmp_path / "back")
        command(back, "import", address(primary))
        command(back, "export", tmp_path / "again.zone")
    assert (tmp_path / "exported.zone").read_text() == (tmp_path / "again.zone").read_text()
    assert "blog.fed.test." in (tmp_path / "again.zone").read_text()
    # What was exported is a master file like any other.
    plain = Authority(tmp_path / "plain")
    command(plain, "import", tmp_path / "exported.zone")
    assert command(plain, "export", "-") == (tmp_path / "exported.zone").read_text()


def test_check_tells_what_is_wrong_and_what_is_not_safe(primary, tmp_path):
    authority = Authority(tmp_path, database=address(primary))
    refused = command(authority, "check", check=False)
    assert refused.returncode == 1 and "mutua-authority migrate" in refused.stderr
    command(authority, "migrate", address(primary, role="owner"))
    assert "empty" in command(authority, "check")
    command(authority, "import", authority.folder / "zone")
    said = command(authority, "check")
    assert "sound" in said and "risk: synchronous_standby_names is empty" in said
    assert "may change the schema" not in said
    primary.sql("UPDATE mutua.zone SET serial = 77", "zone")
    broken = command(authority, "check", check=False)
    assert broken.returncode == 1 and "the database 77" in broken.stderr


class Client(threading.Thread):
    """Adds one name after the other at one authority and remembers which were acknowledged."""

    def __init__(self, authority, number, stop):
        super().__init__()
        self.authority, self.number, self.stop = authority, number, stop
        self.acknowledged = []
        self.failed = 0

    def run(self):
        sequence = 0
        while not self.stop.is_set():
            sequence += 1
            name = f"n{sequence}.c{self.number}"
            try:
                if add(self.authority, name) == dns.rcode.NOERROR:
                    self.acknowledged.append(name)
                    continue
            except (OSError, EOFError, dns.exception.DNSException):
                pass
            self.failed += 1
            self.stop.wait(0.05)


class Prober(threading.Thread):
    """Asks one authority again and again; whenever it runs, it must answer, the second datagram at the latest."""

    def __init__(self, authority, stop):
        super().__init__()
        self.authority, self.stop = authority, stop
        self.runs = threading.Event()
        self.runs.set()
        self.answered = 0
        self.missed = []

    def run(self):
        while not self.stop.wait(0.002):
            ran = self.runs.is_set()
            problem = self.ask() and self.ask()
            if not problem:
                self.answered += 1
            elif ran and self.runs.is_set():
                self.missed.append(problem)

    def ask(self):
        """Nothing, or what went wrong."""
        try:
            rcode = self.authority.query("ns1", "A", timeout=1).rcode()
            return None if rcode == dns.rcode.NOERROR else dns.rcode.to_text(rcode)
        except (OSError, EOFError, dns.exception.DNSException) as problem:
            return repr(problem)


@contextlib.contextmanager
def running(threads, stop):
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def test_kill_9_of_each_authority_and_of_the_primary_loses_nothing(tmp_path):
    stop = threading.Event()
    with contextlib.ExitStack() as stack:
        primary = stack.enter_context(PostgresServer())
        primary.create().start()
        primary.create_database()
        standby = stack.enter_context(primary.create_standby())
        primary.process.terminate()
        primary.process.wait(60)
        primary.start(synchronous_standby_names="*")  # from now on no commit is done before the standby has it
        wait_until(lambda: primary.sql("SELECT sync_state FROM pg_stat_replication") == "sync", 30, "the standby")
        pair = start_pair(stack, tmp_path, primary, standby)
        probers = [Prober(authority, stop) for authority in pair]
        clients = [Client(authority, f"{number}-{which}", stop)
                   for number in range(CLIENTS_OF_EACH) for which, authority in enumerate(pair)]
        count = lambda: sum(len(client.acknowledged) for client in clients)

        def await_more(part):
            goal = count() + UPDATES * part
            wait_until(lambda: count() >= goal, 300, "acknowledged updates")

        with running([*probers, *clients], stop):
            for authority, prober in zip(pair, probers):
                await_more(0.2)
                prober.runs.clear()
                authority.kill()
                await_more(0.1)  # the other one goes on
                authority.start()
                prober.runs.set()
            await_more(0.1)
            answered = [prober.answered for prober in probers]
            primary.kill()
            wait_until(lambda: all(prober.answered > before + 50 for prober, before in zip(probers, answered)), 30,
                       "answers without a database")
            standby.promote()
            await_more(0.3)
        assert count() >= UPDATES
        assert [prober.missed for prober in probers] == [[], []]
        acknowledged = [name for client in clients for name in client.acknowledged]
        assert_both_serve_the_same(pair, [*acknowledged[::max(1, len(acknowledged) // 50)], "nobody"])
        served = {line.split()[0] for line in transfer(pair[0])}
        assert [name for name in acknowledged if f"{name}.fed.test." not in served] == []
        for authority in pair:
            authority.kill()
            authority.start()
        assert_both_serve_the_same(pair, acknowledged[:5])
        print(f"{count()} acknowledged, {sum(client.failed for client in clients)} failed, "
              f"{sum(prober.answered for prober in probers)} questions answered")

# ctest: timeout=600
"""kill -9 under load loses no acknowledged update, and what lapsed does not come back."""

import threading
import time

import dns.exception
import dns.query
import dns.rcode
from conftest import BASE, Owner, commit, set_base
from daemons import wait_until
from sig0 import Key

ACKNOWLEDGED = 200
KILLS = 6
CLIENTS = 4


class Client(threading.Thread):
    """Adds one name after the other and remembers which were acknowledged."""

    def __init__(self, authority, number, stop):
        super().__init__()
        self.authority, self.number, self.stop = authority, number, stop
        self.acknowledged = []

    def run(self):
        sequence = 0
        while not self.stop.is_set():
            sequence += 1
            name = f"n{sequence}.c{self.number}"
            message = self.authority.operator_update()
            message.add(name, 60, "A", "192.0.2.1")
            try:
                # From the update on, this is only about what was acknowledged: no repetitions.
                if self.authority.send(message, tcp=sequence % 2 == 0, timeout=1).rcode() == dns.rcode.NOERROR:
                    self.acknowledged.append(name)
            except (OSError, EOFError, dns.exception.DNSException):
                self.stop.wait(0.02)


def test_kill_9_in_a_loop_loses_no_acknowledged_update(authority):
    stop = threading.Event()
    clients = [Client(authority, number, stop) for number in range(CLIENTS)]
    for client in clients:
        client.start()
    count = lambda: sum(len(client.acknowledged) for client in clients)
    try:
        for _ in range(KILLS):
            goal = count() + ACKNOWLEDGED // KILLS + 1
            wait_until(lambda: count() >= goal, 60, "acknowledged updates")
            authority.kill()
            authority.start()
    finally:
        stop.set()
        for client in clients:
            client.join()
    assert count() >= ACKNOWLEDGED
    authority.kill()
    authority.start()
    lost = [name for client in clients for name in client.acknowledged if not authority.rdatas(name, "A")]
    assert lost == []


def test_a_lapsed_commitment_does_not_come_back(authority):
    set_base(authority, "trusted")
    owner = Owner(authority, "blog").claim()
    short, long = Key(), Key()
    assert commit(authority, short, owner, lease=30).rcode() == dns.rcode.NOERROR
    lapses = time.time() + 30
    assert commit(authority, long, owner, lease=600).rcode() == dns.rcode.NOERROR
    assert owner.served() == {short.peer_id(), long.peer_id()}

    # Killed and started while the lease lives: it is there, and lapses on time.
    authority.kill()
    authority.start()
    assert owner.served() == {short.peer_id(), long.peer_id()}
    authority.kill()
    time.sleep(max(0.0, lapses + 1 - time.time()))  # nobody runs: only the clock on the wall can pass
    authority.start()
    assert owner.served() == {long.peer_id()}
    authority.kill()
    authority.start()
    assert owner.served() == {long.peer_id()}

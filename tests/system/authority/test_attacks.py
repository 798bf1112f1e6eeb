# ctest: serial
# ctest: timeout=300
"""Good clients hardly notice attacks; what the attacks want does not happen.

`./dev bench attacks` measures the same for longer and prints the figures."""

import dns.rcode
import dns.rdatatype
import pytest

import attacks
from daemons import Authority
from sig0 import error_text

SECONDS = 1.0
ROUNDS = 3  # other programs of the machine may spoil one
MOST_LOST = 0.01
MOST_ADDED = 0.005  # seconds


@pytest.mark.parametrize("kind", attacks.ATTACKS, ids=lambda kind: kind.__name__)
def test_good_clients_hardly_notice(kind, tmp_path):
    with Authority(tmp_path, options=kind.options) as authority:
        attack = kind(authority)
        attack.prepare()
        for left in reversed(range(ROUNDS)):
            alone, beside, outcome = attacks.measure(attack, SECONDS)
            assert authority.alive(), authority.log()[-4000:]
            attack.check(outcome)
            if left == 0 or (beside.lost <= MOST_LOST and beside.mean - alone.mean <= MOST_ADDED):
                break
        assert beside.lost <= MOST_LOST, (alone, beside, outcome)
        assert beside.mean - alone.mean <= MOST_ADDED, (alone, beside, outcome)


def test_malformed_messages_leave_it_as_it_was(tmp_path):
    """`./dev bench attacks --malformed 1000000` sends as many as an evening needs."""
    with Authority(tmp_path) as authority:
        outcome = attacks.Malformed(authority).run(20_000)
        assert outcome["answers"] > 1000, outcome


DNSSEC_RECORDS = {
    "NSEC": "zzz.fed.test. A RRSIG NSEC",
    "NSEC3": "1 0 0 - 2t7b4g4vsa5smi47k61mv5bv1a22bojr A",
    "NSEC3PARAM": "1 0 0 -",
    "RRSIG": "A 15 3 300 20300101000000 20260101000000 1 fed.test. AAAA",
    "DNSKEY": "257 3 15 l02Woi0iS8Aa25FQkUd9RMzZHJpBoRQwAQEX1SxZJA4=",
}


@pytest.mark.parametrize("kind", DNSSEC_RECORDS)
def test_not_even_an_operator_writes_what_belongs_to_dnssec(kind, authority):
    before = authority.serial()
    for message in (authority.operator_update(), authority.operator_update()):
        message.add("proof", 300, kind, DNSSEC_RECORDS[kind])
        answer = authority.send(message)
        assert answer.rcode() == dns.rcode.REFUSED, error_text(answer)
    message = authority.operator_update()
    message.delete(authority.zone, kind)
    assert authority.send(message).rcode() == dns.rcode.REFUSED
    assert authority.serial() == before

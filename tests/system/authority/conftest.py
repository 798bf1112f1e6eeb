import hashlib

import dns.name
import dns.rcode
import dns.update
import pytest

from daemons import Authority
from sig0 import Key, Registration, error_text

BASE = "b" * 52
MANIFEST = hashlib.sha256(b"snapshot").hexdigest()


@pytest.fixture
def authority(tmp_path):
    with Authority(tmp_path) as running:
        yield running


class Owner:
    """A service with its key, at an authority."""

    def __init__(self, authority, label, key=None):
        self.authority = authority
        self.name = dns.name.from_text(label, authority.zone)
        self.key = key or Key()

    def update(self):
        message = dns.update.UpdateMessage(self.authority.zone)
        message.use_edns(0, 0, 1232)
        return message

    def send(self, message, **fields):
        return self.authority.send_wire(self.key.sign(message, self.name, **fields))

    def must(self, message):
        answer = self.send(message)
        assert answer.rcode() == dns.rcode.NOERROR, error_text(answer)
        return answer

    def claim(self, admission="open", manifest=MANIFEST, base=BASE):
        message = self.update()
        message.delete(self.name, "TXT")
        message.add(self.name, 60, self.key.rdata())
        message.add(self.name, 60, "TXT",
                    f'"v=1" "manifest=sha256:{manifest}" "base={base}" "ports=80/tcp" "admission={admission}"')
        self.must(message)
        return self

    def deny(self, peer):
        message = self.update()
        message.add(f"{peer.peer_id()}._deny.{self.name}", 60, "TXT", '"v=1" "reason=altered"')
        return self.must(message)

    def admit(self, peer):
        message = self.update()
        message.add(f"{peer.peer_id()}._admit.{self.name}", 60, "TXT", '"v=1"')
        return self.must(message)

    def served(self):
        """The peer ids in the served list."""
        rdatas = self.authority.rdatas(dns.name.from_text("_80._tcp", self.name), "SRV")
        return {text.split()[3].split(".")[0] for text in rdatas}


def set_base(authority, status, base=BASE):
    message = authority.operator_update()
    message.replace(f"{base}._kernels", 60, "TXT", f'"v=1" "status={status}"')
    assert authority.send(message).rcode() == dns.rcode.NOERROR


def commit(authority, peer, *owners, lease=60, port=20080):
    """One SRP update of `peer` with a commitment to each owner's service."""
    registration = Registration(authority.zone, peer, lease=lease)
    for owner in owners:
        registration.commit(owner.name, port, MANIFEST)
    return authority.send_wire(registration.signed())

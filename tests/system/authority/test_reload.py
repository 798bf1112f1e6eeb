"""What SIGHUP takes up: keys and rules change, and nobody notices but those whom they concern."""

import base64
import os
import signal
import socket

import dns.flags
import dns.message
import dns.opcode
import dns.query
import dns.rcode
import dns.tsig
import dns.tsigkeyring
import dns.zone
import pytest

from daemons import Authority, wait_until
from secondaries import Following

KEY = base64.b64encode(b"k" * 32).decode()
OTHER = base64.b64encode(b"o" * 32).decode()


def ring(secret, name="transfer"):
    return dns.tsigkeyring.from_text({name: ("hmac-sha256", secret)})


def write_secret(folder, name, secret):
    path = folder / name
    path.write_text(secret + "\n")
    path.chmod(0o600)
    return path


def reload(authority, outcome="authority.reloaded"):
    before = authority.log().count(outcome)
    authority.process.send_signal(signal.SIGHUP)
    wait_until(lambda: authority.log().count(outcome) > before, 10, outcome)


def zone_by(authority, keyring):
    zone = dns.zone.Zone("fed.test.")
    query = dns.message.make_query("fed.test.", "AXFR")
    query.use_tsig(keyring)
    dns.query.inbound_xfr("127.0.0.1", zone, query, authority.port, timeout=10, lifetime=20)
    return zone


def test_operators_keys_and_the_rules_of_transfers_change(tmp_path):
    with Authority(tmp_path) as authority:
        def update(value):
            message = authority.operator_update()
            message.replace("a", 60, "TXT", value)
            return authority.send(message).rcode()

        def refusal(keyring=None):
            query = dns.message.make_query("fed.test.", "AXFR")
            if keyring:
                query.use_tsig(keyring)
            return dns.query.tcp(query, "127.0.0.1", 5, authority.port).rcode()

        assert update("first") == dns.rcode.NOERROR
        assert refusal() == dns.rcode.REFUSED
        # Another secret of the operator, and a rule where there was none.
        former, authority.secret = authority.secret, base64.b64encode(os.urandom(32)).decode()
        path = write_secret(tmp_path, "transfer.secret", KEY)
        authority.options = [f"transfer_key = transfer hmac-sha256 {path}", "transfer = 127.0.0.1 transfer"]
        authority.write_config()
        reload(authority)
        assert update("second") == dns.rcode.NOERROR
        assert zone_by(authority, ring(KEY)).find_rdataset("a", "TXT")[0].to_text() == '"second"'
        assert refusal() == dns.rcode.REFUSED
        question = dns.message.make_query("a.fed.test.", "TXT")
        question.use_tsig(ring(KEY))
        assert dns.query.udp(question, "127.0.0.1", 5, authority.port).had_tsig
        authority.secret, newest = former, authority.secret
        with pytest.raises(dns.tsig.PeerBadSignature):
            update("by the former key")
        authority.secret = newest
        # The key of transfers is another.
        write_secret(tmp_path, "transfer.secret", OTHER)
        reload(authority)
        assert zone_by(authority, ring(OTHER))
        with pytest.raises(dns.tsig.PeerBadSignature):
            refusal(ring(KEY))
        # A file with an error changes nothing; neither does what would take a restart.
        for wrong in ("transfer = nowhere", f"primary = 127.0.0.1:1 transfer"):
            authority.options.append(wrong)
            authority.write_config()
            reload(authority, "authority.reload_failed")
            authority.options.pop()
        assert update("third") == dns.rcode.NOERROR and zone_by(authority, ring(OTHER))


def test_who_is_told_of_changes_changes(tmp_path):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as secondary, Authority(tmp_path) as authority:
        secondary.bind(("127.0.0.1", 0))
        secondary.settimeout(10)
        path = write_secret(tmp_path, "transfer.secret", KEY)
        authority.options = [f"transfer_key = transfer hmac-sha256 {path}",
                             f"notify = 127.0.0.1:{secondary.getsockname()[1]} transfer"]
        for secret in (KEY, OTHER):
            write_secret(tmp_path, "transfer.secret", secret)
            authority.write_config()
            reload(authority)
            while True:  # what was signed with the former key may still come
                octets, source = secondary.recvfrom(4096)
                try:
                    told = dns.message.from_wire(octets, keyring=ring(secret))
                    break
                except dns.tsig.BadSignature:
                    continue
            assert told.opcode() == dns.opcode.NOTIFY
            answer = dns.message.make_response(told)
            answer.flags |= dns.flags.AA
            secondary.sendto(answer.to_wire(), source)


def test_a_secondary_takes_up_its_primarys_new_key(tmp_path):
    primary = Authority(tmp_path / "primary")
    (tmp_path / "primary").mkdir()
    path = write_secret(tmp_path / "primary", "transfer.secret", KEY)
    primary.options = [f"transfer_key = transfer hmac-sha256 {path}", "transfer = 127.0.0.1 transfer"]
    with primary:
        secondary = Following(tmp_path / "secondary", [primary.port])
        own = tmp_path / "secondary" / "transfer.secret"
        write_secret(own.parent, own.name, KEY)
        with secondary:
            wait_until(lambda: secondary.has(primary.serial()), 10, "the secondary follows")
            write_secret(tmp_path / "primary", "transfer.secret", OTHER)
            reload(primary)
            message = primary.operator_update()
            message.add("new", 60, "TXT", "x")
            assert primary.send(message).rcode() == dns.rcode.NOERROR
            assert not secondary.has(primary.serial())
            write_secret(own.parent, own.name, OTHER)
            reload(secondary)
            wait_until(lambda: secondary.has(primary.serial()), 10, "the secondary follows with the new key")

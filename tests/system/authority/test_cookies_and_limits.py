# ctest: sanitized
"""DNS cookies (RFC 7873, 9018), response rate limiting, and questions signed by TSIG."""

import signal
import socket
import struct
import subprocess

import dns.edns
import dns.message
import dns.query
import dns.rcode
import dns.tsigkeyring

from daemons import OPERATOR_KEY, Authority, wait_until

COOKIE = 10
BADCOOKIE = 23
CLIENT = bytes.fromhex("2464c4abcf10c957")
LIMITED = ("response_rate_exempt = 203.0.113.0/24", "response_rate_limit = 20")


def question(cookie=None, name="ns1.fed.test.", **fields):
    options = [] if cookie is None else [dns.edns.GenericOption(COOKIE, cookie)]
    return dns.message.make_query(name, "A", use_edns=0, payload=1232, options=options, **fields)


def ask(authority, message):
    return dns.query.udp(message, authority.address, 5, authority.port)


def cookie_of(answer):
    return next((bytes(option.data) for option in answer.options if option.otype == COOKIE), None)


def test_a_client_gets_a_cookie_and_keeps_it(tmp_path):
    with Authority(tmp_path) as authority:
        full = cookie_of(ask(authority, question(CLIENT)))
        assert len(full) == 24 and full[:8] == CLIENT and full[8] == 1
        again = ask(authority, question(full))
        assert cookie_of(again) == full and again.rcode() == dns.rcode.NOERROR
        assert cookie_of(ask(authority, question())) is None


def test_a_wrong_cookie_is_answered_and_replaced(tmp_path):
    with Authority(tmp_path) as authority:
        for wrong in (CLIENT + b"\1" + b"\0" * 15, CLIENT + b"x" * 8, CLIENT + b"x" * 32):
            answer = ask(authority, question(wrong))
            assert answer.rcode() == dns.rcode.NOERROR and answer.answer
            assert len(cookie_of(answer)) == 24


def test_a_cookie_of_an_impossible_size_is_malformed(tmp_path):
    with Authority(tmp_path) as authority:
        for size in (0, 7, 9, 15, 41):
            assert ask(authority, question(b"c" * size)).rcode() == dns.rcode.FORMERR


def test_a_cookie_may_be_asked_for_alone(tmp_path):
    with Authority(tmp_path) as authority:
        message = question(CLIENT)
        message.question = []
        answer = ask(authority, message)
        assert answer.rcode() == dns.rcode.NOERROR and len(cookie_of(answer)) == 24


def test_secrets_are_shared_and_replaced(tmp_path):
    secret = tmp_path / "cookie.secret"
    secret.write_text("e5e973e5a6b2a43f48e7dc849e37bfcf\n")
    options = [f"cookie_secret = {secret}", *LIMITED[:1]]
    with Authority(tmp_path / "one", options=options) as one, Authority(tmp_path / "two", options=options) as two:
        full = cookie_of(ask(one, question(CLIENT)))
        assert cookie_of(ask(two, question(full))) == full
        secret.write_text("445536bcd2513298075a5d379663c962\ne5e973e5a6b2a43f48e7dc849e37bfcf\n")
        one.process.send_signal(signal.SIGHUP)
        renewed = wait_until(lambda: (new := cookie_of(ask(one, question(full)))) != full and new,
                             what="a cookie of the new secret")
        assert cookie_of(ask(one, question(renewed))) == renewed


def test_dig_finds_the_cookie_good(tmp_path):
    with Authority(tmp_path) as authority:
        first = subprocess.run(["dig", f"@{authority.address}", "-p", str(authority.port), "+cookie", "ns1.fed.test"],
                               capture_output=True, text=True, timeout=20, check=True)
        line = next(line for line in first.stdout.splitlines() if "COOKIE" in line)
        assert line.endswith("(good)"), line


class Flood:
    """Many questions from one address at once; what comes back."""

    def __init__(self, authority, message, count):
        self.answers = []
        wire = message.to_wire()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as channel:
            channel.connect((authority.address, authority.port))
            for number in range(count):
                channel.send(struct.pack("!H", number) + wire[2:])
            channel.settimeout(0.3)
            try:
                while True:
                    self.answers.append(channel.recv(4096))
            except TimeoutError:
                pass
        self.full = [answer for answer in self.answers if answer[6:8] != b"\0\0"]
        self.short = [answer for answer in self.answers if answer[6:8] == b"\0\0"]


def test_one_network_gets_no_more_than_its_rate(tmp_path):
    with Authority(tmp_path, options=LIMITED) as authority:
        flood = Flood(authority, question(), 200)
        assert 20 <= len(flood.full) <= 40  # and what drains meanwhile
        assert 60 <= len(flood.short) <= 100  # every second one of the rest
        for answer in flood.short:
            assert answer[2] & 0x02 and len(answer) < 60  # TC, and no larger than the question
        # Whoever is honest comes by TCP.
        assert authority.query("ns1", "A", tcp=True).answer


def test_whoever_holds_a_cookie_is_not_limited(tmp_path):
    with Authority(tmp_path, options=LIMITED) as authority:
        full = cookie_of(ask(authority, question(CLIENT)))
        assert len(Flood(authority, question(full), 200).full) == 200
        offered = Flood(authority, question(CLIENT), 200)
        assert offered.short
        message = dns.message.from_wire(offered.short[-1])
        assert message.rcode() == BADCOOKIE
        assert ask(authority, question(cookie_of(message))).answer


def test_loopback_is_exempt_unless_said_otherwise(tmp_path):
    with Authority(tmp_path, options=["response_rate_limit = 1"]) as authority:
        assert len(Flood(authority, question(), 100).full) == 100


def test_limits_change_while_it_runs(tmp_path):
    with Authority(tmp_path, options=["response_rate_limit = 0"]) as authority:
        authority.options = [*LIMITED, "response_rate_slip = 0"]
        authority.write_config()
        authority.process.send_signal(signal.SIGHUP)
        wait_until(lambda: "authority.reloaded" in authority.log(), what="the reload")
        flood = Flood(authority, question(), 200)
        assert len(flood.full) <= 40 and not flood.short


def test_signed_questions_get_signed_answers(tmp_path):
    with Authority(tmp_path) as authority:
        keyring = dns.tsigkeyring.from_text({OPERATOR_KEY: ("hmac-sha256", authority.secret)})
        for name, rcode in (("ns1.fed.test.", dns.rcode.NOERROR), ("none.fed.test.", dns.rcode.NXDOMAIN),
                            ("www.example.org.", dns.rcode.REFUSED)):
            for send in (dns.query.udp, dns.query.tcp):
                message = dns.message.make_query(name, "A", use_edns=0)
                message.use_tsig(keyring, OPERATOR_KEY, algorithm="hmac-sha256.")
                answer = send(message, authority.address, 5, authority.port)  # verifies the answer's TSIG
                assert answer.rcode() == rcode and answer.had_tsig
        stranger = dns.tsigkeyring.from_text({OPERATOR_KEY: ("hmac-sha256", "AAAA")})
        message = dns.message.make_query("ns1.fed.test.", "A")
        message.use_tsig(stranger, OPERATOR_KEY, algorithm="hmac-sha256.")
        raw = authority_raw(authority, message.to_wire())
        assert raw[3] & 15 == dns.rcode.NOTAUTH


def authority_raw(authority, wire):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as channel:
        channel.settimeout(5)
        channel.connect((authority.address, authority.port))
        channel.send(wire)
        return channel.recv(4096)

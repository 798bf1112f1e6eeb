"""Attacks on an authority beside good load: what the tests assert and `./dev bench attacks` measures.

Each attack is a class: prepare() sets the stage in the caller's process, flood() sends for some
seconds at a rate in a process of its own, check() looks at what is left. measure() runs one beside a
steady client and says what the client lost. Everything stays on loopback; the attackers have many
addresses of 127/8, because what one address may waste is limited anyway."""

import contextlib
import dataclasses
import multiprocessing
import pathlib
import random
import select
import socket
import statistics
import struct
import time

import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.rcode
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.update

from sig0 import ED25519, Key, Registration

GOOD_RATE = 1000   # questions a second
BAD_RATE = 2000    # messages of the attack a second
PATIENCE = 0.5     # seconds; then a question counts as lost
_fork = multiprocessing.get_context("fork")


@dataclasses.dataclass
class Delay:
    """What a steady client saw."""
    asked: int
    lost: float   # share
    mean: float   # seconds
    p99: float


def _paced(rate, seconds):
    """Yields how many messages are due now, every millisecond or so."""
    start, done = time.monotonic(), 0
    while (passed := time.monotonic() - start) < seconds:
        due = int(passed * rate) - done
        if due > 0:
            done += due
            yield due
        else:
            yield 0


def _drain(channel):
    """Everything that came."""
    while True:
        try:
            yield channel.recv(65535)
        except BlockingIOError:
            return
        except OSError:
            continue


def ask_steadily(address, port, name, seconds, rate=GOOD_RATE):
    """A question every 1/rate seconds, from one socket, over UDP."""
    question = bytearray(dns.message.make_query(name, "A", use_edns=0, payload=1232).to_wire())
    asked_at, delays, number = {}, [], 0
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as channel:
        channel.connect((address, port))
        channel.setblocking(False)

        def collect(wait):
            select.select([channel], [], [], wait)
            now = time.monotonic()
            for answer in _drain(channel):
                sent = asked_at.pop(struct.unpack("!H", answer[:2])[0], None)
                if sent is not None and answer[3] & 15 == 0:
                    delays.append(now - sent)
        for due in _paced(rate, seconds):
            for _ in range(due):
                number += 1
                struct.pack_into("!H", question, 0, number & 0xFFFF)
                asked_at[number & 0xFFFF] = time.monotonic()
                with contextlib.suppress(OSError):
                    channel.send(question)
            collect(0.0005)
        end = time.monotonic() + PATIENCE
        while asked_at and time.monotonic() < end:
            collect(0.01)
    delays = delays or [PATIENCE]
    return Delay(number, 1 - len(delays) / max(number, 1), statistics.fmean(delays),
                 sorted(delays)[int(len(delays) * 0.99)])


class Attack:
    """What all of them share: an authority with one name to ask for."""
    options = ()

    def __init__(self, authority):
        self.authority = authority
        self.name = dns.name.from_text("ns1", authority.zone)

    def prepare(self):
        pass

    def flood(self, seconds, rate):
        """In a process of its own; what it returns goes to check()."""
        raise NotImplementedError

    def check(self, outcome):
        """Raises AssertionError where the authority let anything through."""

    # -- tools --

    def flood_datagrams(self, messages, seconds, rate, sources=64):
        """The messages in turns, from many addresses; {"sent", "answers", "rcodes"}."""
        channels, rcodes, sent = [], {}, 0
        for index in range(sources):
            channel = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            channel.bind((f"127.0.{1 + index // 200}.{1 + index % 200}", 0))
            channel.connect((self.authority.address, self.authority.port))
            channel.setblocking(False)
            channels.append(channel)

        def collect():
            for channel in channels:
                for answer in _drain(channel):
                    rcodes[answer[3] & 15] = rcodes.get(answer[3] & 15, 0) + 1
        for turn, due in enumerate(_paced(rate, seconds)):
            for _ in range(due):
                with contextlib.suppress(OSError):
                    channels[sent % sources].send(messages[sent % len(messages)])
                sent += 1
            if turn % 16 == 0:
                collect()
            if due == 0:
                time.sleep(0.0005)
        time.sleep(0.1)
        collect()
        for channel in channels:
            channel.close()
        return {"sent": sent, "answers": sum(rcodes.values()), "rcodes": rcodes}

    def open_stream(self, source="127.0.0.1"):
        channel = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        channel.bind((source, 0))
        channel.settimeout(2)
        channel.connect((self.authority.address, self.authority.port))
        channel.setblocking(False)
        return channel

    def register_peer(self):
        """A peer in the zone; (key, the signed registration)."""
        key = Key()
        registration = Registration(self.authority.zone, key).signed()
        assert self.authority.send_wire(registration).rcode() == dns.rcode.NOERROR
        return key, registration

    def question(self, index=0):
        query = dns.message.make_query(self.name, "A", use_edns=0, payload=1232, id=index & 0xFFFF)
        return query.to_wire()


class BadSignaturesOfAKnownKey(Attack):
    """Updates with the name of a key of the zone and a signature that is not its own."""

    def prepare(self):
        key, _ = self.register_peer()
        host = dns.name.from_text(f"{key.peer_id()}.peers", self.authority.zone)
        self.messages = []
        for index in range(256):
            update = Registration(self.authority.zone, key, addresses=(f"10.0.0.{index}",))
            self.messages.append(key.sign(update.message, host, corrupt=True))
        self.serial = self.authority.serial()

    def flood(self, seconds, rate):
        return self.flood_datagrams(self.messages, seconds, rate)

    def check(self, outcome):
        assert self.authority.serial() == self.serial
        assert set(outcome["rcodes"]) <= {dns.rcode.REFUSED}, outcome


class QueriesThatCarrySignatures(Attack):
    """CVE-2024-1975: questions signed by SIG(0), which costs a server dear that verifies them."""

    def prepare(self):
        key, _ = self.register_peer()
        host = dns.name.from_text(f"{key.peer_id()}.peers", self.authority.zone)
        self.messages = [key.sign(dns.message.from_wire(self.question(index)), host)
                         for index in range(256)]

    def flood(self, seconds, rate):
        return self.flood_datagrams(self.messages, seconds, rate)

    def check(self, outcome):
        assert outcome["rcodes"].get(dns.rcode.NOERROR, 0) >= 0.9 * outcome["sent"], outcome


class ManyKeysOfOneTag(Attack):
    """The shape of CVE-2023-50387: a name with many keys that all could have signed."""
    KEYS = 24

    def prepare(self):
        # The tag is a sum of 16-bit words: the same words in another order have the same tag.
        key, choose = Key(), random.Random(1)
        words = [key.public()[at:at + 2] for at in range(0, 32, 2)]
        self.signer = dns.name.from_text("crowd", self.authority.zone)
        update = self.authority.operator_update()
        for _ in range(self.KEYS):
            choose.shuffle(words)
            wire = struct.pack("!HBB", 512, 3, ED25519) + b"".join(words)
            update.add(self.signer, 60,
                       dns.rdata.from_wire(dns.rdataclass.IN, dns.rdatatype.KEY, wire, 0, len(wire)))
        assert self.authority.send(update).rcode() == dns.rcode.NOERROR
        self.serial = self.authority.serial()
        self.messages = []
        for index in range(256):
            update = dns.update.UpdateMessage(self.authority.zone)
            update.add(self.signer, 60, "TXT", f'"{index}"')
            self.messages.append(key.sign(update, self.signer))

    def flood(self, seconds, rate):
        return self.flood_datagrams(self.messages, seconds, rate)

    def check(self, outcome):
        assert self.authority.serial() == self.serial
        assert set(outcome["rcodes"]) <= {dns.rcode.REFUSED}, outcome


class HugeRRsets(Attack):
    """CVE-2024-1737: an RRset grows until it is refused, and is asked for all the time."""

    def prepare(self):
        refused = False
        for batch in range(40):
            update = self.authority.operator_update()
            for index in range(200):
                update.add("huge", 60, "A", f"10.{batch}.{index >> 8}.{index & 255}")
            rcode = self.authority.send(update).rcode()
            refused = rcode == dns.rcode.REFUSED
            if refused:
                break
            assert rcode == dns.rcode.NOERROR
        assert refused, "an RRset of 8,000 records was accepted"
        name = dns.name.from_text("huge", self.authority.zone)
        self.messages = [dns.message.make_query(name, kind, use_edns=0, payload=payload).to_wire()
                         for kind in ("A", "ANY", "AAAA") for payload in (512, 1232, 4096)]
        self.serial = self.authority.serial()

    def flood(self, seconds, rate):
        return self.flood_datagrams(self.messages, seconds, rate)

    def check(self, outcome):
        assert self.authority.serial() == self.serial
        answer = self.authority.query("huge", "A", tcp=True)
        assert answer.rcode() == dns.rcode.NOERROR and len(answer.answer[0]) >= 100


class AnswersNeverRead(Attack):
    """CVE-2024-0760: questions over TCP whose answers nobody reads."""

    def prepare(self):
        update = self.authority.operator_update()
        for index in range(100):
            update.add("large", 60, "TXT", f'"{index:0200}"')
        assert self.authority.send(update).rcode() == dns.rcode.NOERROR
        question = dns.message.make_query(dns.name.from_text("large", self.authority.zone), "TXT").to_wire()
        self.framed = struct.pack("!H", len(question)) + question
        self.memory = self.authority.memory_kib()

    def flood(self, seconds, rate):
        channels = [self.open_stream(f"127.0.1.{1 + index % 32}") for index in range(100)]
        sent = closed = 0
        for due in _paced(rate, seconds):
            for _ in range(due):
                try:
                    channels[sent % len(channels)].send(self.framed)
                except BlockingIOError:
                    pass
                except OSError:
                    closed += 1
                    channels[sent % len(channels)].close()
                    channels[sent % len(channels)] = self.open_stream(f"127.0.1.{1 + sent % 32}")
                sent += 1
            if due == 0:
                time.sleep(0.0005)
        for channel in channels:
            channel.close()
        return {"sent": sent, "closed": closed}

    def check(self, outcome):
        grown = self.authority.memory_kib() - self.memory
        assert grown < 64 * 1024, f"{grown} KiB more than before"


class HalfMessages(Attack):
    """2,000 connections that never finish a message."""
    CONNECTIONS = 2000

    def flood(self, seconds, rate):
        channels, opened, sent = {}, 0, 0
        for due in _paced(rate, seconds):
            for _ in range(due):
                index = sent % self.CONNECTIONS
                sent += 1
                try:
                    if index not in channels:
                        channels[index] = self.open_stream(f"127.0.1.{1 + index % 16}")
                        opened += 1
                    channels[index].send(b"\0")
                except OSError:
                    channels.pop(index, None)
            if due == 0:
                time.sleep(0.0005)
        for channel in channels.values():
            channel.close()
        return {"sent": sent, "opened": opened}

    def check(self, outcome):
        answer = self.authority.query(self.name, "A", tcp=True)
        assert answer.rcode() == dns.rcode.NOERROR


def hostile_names():
    """Messages whose names never end, or end where they may not."""
    header = struct.pack("!6H", 7, 0, 1, 0, 0, 0)
    tail = struct.pack("!2H", 1, 1)
    yield header + b"\xc0\x0c" + tail                                  # points at itself
    yield header + b"\xc0\x0e\xc0\x0c" + tail                          # two that point at each other
    yield header + b"\x01a\xc0\x0c" + tail                             # a loop with a label in it
    yield header + b"\xc0\xff" + tail                                  # beyond the end
    yield header + b"\x3f" + b"a" * 63 + b"\x3f" + b"a" * 63 + b"\x3f" + b"a" * 63 + b"\x3f" + b"a" * 63 + b"\x01b\0" + tail
    yield header + b"\x80a" + tail                                     # a label type that does not exist
    chain = b"".join(struct.pack("!H", 0xC000 | max(12, 12 + 2 * (step - 1))) for step in range(400))
    yield header + chain + struct.pack("!H", 0xC000 | (12 + 2 * 399)) + tail
    update = struct.pack("!6H", 7, 0x2800, 1, 0, 40, 0)
    zone = b"\x03fed\x04test\0" + struct.pack("!2H", 6, 1)
    records = b"".join(struct.pack("!H", 0xC000 | (12 + len(zone) + 12 * index)) + struct.pack("!HHIH", 1, 1, 0, 0)
                       for index in range(40))
    yield update + zone + records


class CompressionLoops(Attack):
    """Pointers that lead to themselves, chains of pointers, names that are too long."""

    def prepare(self):
        self.messages = list(hostile_names())

    def flood(self, seconds, rate):
        return self.flood_datagrams(self.messages, seconds, rate)

    def check(self, outcome):
        assert set(outcome["rcodes"]) <= {dns.rcode.FORMERR, dns.rcode.REFUSED}, outcome


class ResponsesSentAsQueries(Attack):
    """What could make two servers answer each other forever: there must be no reply."""

    def prepare(self):
        self.messages = []
        for opcode in (dns.opcode.QUERY, dns.opcode.UPDATE, dns.opcode.NOTIFY, dns.opcode.STATUS):
            query = dns.message.from_wire(self.question())
            query.set_opcode(opcode)
            query.flags |= dns.flags.QR
            self.messages.append(query.to_wire())

    def flood(self, seconds, rate):
        return self.flood_datagrams(self.messages, seconds, rate)

    def check(self, outcome):
        assert outcome["answers"] == 0, outcome


class ReplayedUpdates(Attack):
    """Updates that were executed once, by SIG(0) and by TSIG, again from elsewhere."""

    def prepare(self):
        _, registration = self.register_peer()
        addition = self.authority.operator_update()
        addition.add("replayed", 60, "TXT", '"once"')
        by_tsig = addition.to_wire()
        with socket.create_connection((self.authority.address, self.authority.port)) as channel:
            channel.sendall(struct.pack("!H", len(by_tsig)) + by_tsig)
            assert channel.recv(4096)  # signed: the zone says what came of it
        assert self.authority.rdatas("replayed", "TXT")
        update = self.authority.operator_update()
        update.delete("replayed")
        assert self.authority.send(update).rcode() == dns.rcode.NOERROR
        self.messages = [registration, by_tsig]
        self.serial = self.authority.serial()

    def flood(self, seconds, rate):
        return self.flood_datagrams(self.messages, seconds, rate)

    def check(self, outcome):
        assert self.authority.serial() == self.serial
        assert not self.authority.rdatas("replayed", "TXT")
        assert set(outcome["rcodes"]) <= {dns.rcode.REFUSED}, outcome


class NotifyFlood(Attack):
    """NOTIFY from strangers, about this zone and others."""

    def prepare(self):
        self.messages = []
        for zone in (self.authority.zone.to_text(), "example.org.", "."):
            message = dns.message.make_query(zone, "SOA")
            message.set_opcode(dns.opcode.NOTIFY)
            message.flags |= dns.flags.AA
            self.messages.append(message.to_wire())

    def flood(self, seconds, rate):
        return self.flood_datagrams(self.messages, seconds, rate)

    def check(self, outcome):
        assert dns.rcode.NOERROR not in outcome["rcodes"], outcome


class Malformed:
    """Messages out of the fuzzers' corpora and spoilt ones made from them, as fast as they go: by UDP,
    and by TCP up to 64 KiB long. The authority must live, stay as large as it was, and stay right."""
    MOST_GROWTH = 16 * 1024  # KiB

    def __init__(self, authority, seed=1):
        self.authority = authority
        self.choose = random.Random(seed)
        fuzz = pathlib.Path(__file__).parents[1] / "fuzz" / "authority"
        self.seeds = list(hostile_names())
        for corpus in ("query/answer_fuzz_corpus", "writer/update_fuzz_corpus", "transfer/transfer_fuzz_corpus"):
            self.seeds += [path.read_bytes() for path in sorted((fuzz / corpus).iterdir())]
        assert len(self.seeds) > 20, "the corpora are missing"

    def spoil(self, message):
        data, choose = bytearray(message), self.choose
        for _ in range(choose.randrange(1, 6)):
            at = choose.randrange(len(data)) if data else 0
            match choose.randrange(6):
                case 0 if data:
                    data[at] = choose.randrange(256)
                case 1 if data:
                    data[at] ^= 1 << choose.randrange(8)
                case 2:
                    del data[at:]
                case 3:
                    data[at:at] = choose.randbytes(choose.randrange(1, 40))
                case 4:
                    data[at:at + 2] = struct.pack("!H", 0xC000 | choose.randrange(0x4000))
                case 5 if len(data) >= 12:
                    field = 4 + 2 * choose.randrange(4)  # one of the counts
                    data[field:field + 2] = struct.pack("!H", choose.choice((0, 1, 2, 0xFFFF)))
        return bytes(data[:4000])

    def by_udp(self, count):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as channel:
            channel.connect((self.authority.address, self.authority.port))
            channel.setblocking(False)
            answers = 0
            for number in range(count):
                with contextlib.suppress(OSError):
                    channel.send(self.spoil(self.choose.choice(self.seeds)))
                if number % 32 == 0:
                    answers += sum(1 for _ in _drain(channel))
            time.sleep(0.2)
            return answers + sum(1 for _ in _drain(channel))

    def by_tcp(self, count):
        for _ in range(count):
            message = self.spoil(self.choose.choice(self.seeds))
            if self.choose.randrange(4) == 0:
                message += self.choose.randbytes(65535 - len(message))
            with socket.create_connection((self.authority.address, self.authority.port), timeout=5) as channel, \
                    contextlib.suppress(OSError):
                channel.sendall(struct.pack("!H", len(message)) + message)
                channel.settimeout(0.002)
                channel.recv(65535)

    def run(self, count):
        """Raises AssertionError where the authority is not what it was. {"sent", "answers", "grown_kib"}"""
        questions = [("ns1", "A"), ("nobody", "A"), ("", "SOA")]

        def answers():
            return [self.authority.query(name, kind).to_text().split("\n", 1)[1] for name, kind in questions]
        before = answers()
        self.by_udp(2000)
        self.by_tcp(50)  # whatever grows once has grown now
        memory = self.authority.memory_kib()
        came = self.by_udp(count)
        self.by_tcp(count // 1000)
        assert self.authority.alive(), self.authority.log()[-4000:]
        assert answers() == before
        grown = self.authority.memory_kib() - memory
        assert grown < self.MOST_GROWTH, f"{grown} KiB more than before"
        return {"sent": count + count // 1000, "answers": came, "grown_kib": grown}


ATTACKS = (BadSignaturesOfAKnownKey, QueriesThatCarrySignatures, ManyKeysOfOneTag, HugeRRsets,
           AnswersNeverRead, HalfMessages, CompressionLoops, ResponsesSentAsQueries, ReplayedUpdates,
           NotifyFlood)


def _in_child(function, *arguments):
    """Starts it in a process of its own; call what comes back for its result."""
    mine, theirs = _fork.Pipe(duplex=False)

    def body():
        theirs.send(function(*arguments))
    child = _fork.Process(target=body, daemon=True)
    child.start()

    def result():
        if not mine.poll(120):
            child.kill()
            raise AssertionError(f"{function} did not end")
        value = mine.recv()
        child.join()
        return value
    return result


def measure(attack, seconds, good_rate=GOOD_RATE, bad_rate=BAD_RATE):
    """(Delay alone, Delay beside the attack, what the attack says of itself)."""
    where = (attack.authority.address, attack.authority.port, attack.name)
    alone = _in_child(ask_steadily, *where, seconds, good_rate)()
    flood = _in_child(attack.flood, seconds + 0.5, bad_rate)
    time.sleep(0.25)  # the attack has begun when the client comes: a part of what is measured
    beside = _in_child(ask_steadily, *where, seconds, good_rate)()
    return alone, beside, flood()

"""SIG(0) (RFC 2931) and SRP (RFC 9665) clients for tests, made by hand so that every field can be wrong."""

import base64
import hashlib
import pathlib
import struct
import time

import dns.edns
import dns.name
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.update
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

ED25519 = 15
ECDSA_P256 = 13
UPDATE_LEASE = 2


class Key:
    """A host key: KEY flags 512, protocol 3."""

    def __init__(self, algorithm=ED25519, private=None):
        self.algorithm = algorithm
        if private is None:
            private = ed25519.Ed25519PrivateKey.generate() if algorithm == ED25519 else ec.generate_private_key(ec.SECP256R1())
        self.private = private

    @classmethod
    def from_bind(cls, path):
        """The K*.private file that dnssec-keygen writes."""
        fields = dict(line.split(": ", 1) for line in pathlib.Path(path).read_text().splitlines() if ": " in line)
        raw = base64.b64decode(fields["PrivateKey"])
        if int(fields["Algorithm"].split()[0]) == ED25519:
            return cls(ED25519, ed25519.Ed25519PrivateKey.from_private_bytes(raw))
        return cls(ECDSA_P256, ec.derive_private_key(int.from_bytes(raw, "big"), ec.SECP256R1()))

    def public(self):
        if self.algorithm == ED25519:
            return self.private.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
        return self.private.public_key().public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)[1:]

    def rdata_wire(self):
        return struct.pack("!HBB", 512, 3, self.algorithm) + self.public()

    def rdata(self):
        wire = self.rdata_wire()
        return dns.rdata.from_wire(dns.rdataclass.IN, dns.rdatatype.KEY, wire, 0, len(wire))

    def tag(self):
        total = sum(octet << 8 if index % 2 == 0 else octet for index, octet in enumerate(self.rdata_wire()))
        return (total + (total >> 16)) & 0xFFFF

    def peer_id(self):
        """Lower-case base32 of the first 160 bits of SHA-256 over the KEY RDATA."""
        return base64.b32encode(hashlib.sha256(self.rdata_wire()).digest()[:20]).decode().lower()

    def raw_sign(self, data):
        if self.algorithm == ED25519:
            return self.private.sign(data)
        r, s = decode_dss_signature(self.private.sign(data, ec.ECDSA(hashes.SHA256())))
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")

    def sign(self, message, signer, inception=None, expiration=None, tag=None, corrupt=False):
        """The message (a dns.message.Message or octets) with this key's SIG(0) appended.

        The times are nsupdate's, now - 300 to now + 300: several clients of one key can then take
        turns, since inception must not go back."""
        wire = message if isinstance(message, bytes) else message.to_wire()
        now = int(time.time())
        inception = now - 300 if inception is None else inception
        expiration = now + 300 if expiration is None else expiration
        fields = struct.pack("!HBBIIIH", 0, self.algorithm, 0, 0, expiration & 0xFFFFFFFF, inception & 0xFFFFFFFF,
                             self.tag() if tag is None else tag) + signer.canonicalize().to_wire()
        signature = self.raw_sign(fields + wire)
        if corrupt:
            signature = bytes([signature[0] ^ 1]) + signature[1:]
        rdata = fields + signature
        signed = wire + b"\0" + struct.pack("!HHIH", dns.rdatatype.SIG, 255, 0, len(rdata)) + rdata
        return signed[:10] + struct.pack("!H", struct.unpack("!H", wire[10:12])[0] + 1) + signed[12:]


def update_lease_option(lease, key_lease=None):
    data = struct.pack("!I", lease) if key_lease is None else struct.pack("!II", lease, key_lease)
    return dns.edns.GenericOption(UPDATE_LEASE, data)


def granted_lease(answer):
    """The lease numbers of an answer: (lease,), (lease, key lease), or nothing."""
    for option in answer.options:
        if option.otype == UPDATE_LEASE:
            return struct.unpack("!%dI" % (len(option.data) // 4), option.data)
    return None


def error_text(answer):
    """(code, text) of the answer's extended DNS error (RFC 8914); (None, "") without one."""
    for option in answer.options:
        if option.otype == dns.edns.EDE:
            return int(option.code), option.text or ""
    return None, ""


class Registration:
    """An SRP update in the making: one host with its services."""

    def __init__(self, zone, key, host=None, addresses=("127.0.0.1",), lease=60, key_lease=1209600, ttl=30):
        self.zone = zone if isinstance(zone, dns.name.Name) else dns.name.from_text(zone)
        self.key = key
        self.host = host or dns.name.from_text(f"{key.peer_id()}.peers", self.zone)
        self.ttl = ttl
        self.message = dns.update.UpdateMessage(self.zone)
        self.message.use_edns(0, 0, 1232, options=[update_lease_option(lease, key_lease)])
        self.message.delete(self.host)
        self.message.add(self.host, ttl, key.rdata())
        for address in addresses:
            self.message.add(self.host, ttl, "AAAA" if ":" in address else "A", address)

    def service(self, port, kind, domain, instance=None, texts=()):
        """One service: `kind` is like "_80._tcp", `domain` the service's hostname."""
        domain = domain if isinstance(domain, dns.name.Name) else dns.name.from_text(domain, self.zone)
        browse = dns.name.from_text(kind, domain)
        owner = dns.name.from_text(instance or self.key.peer_id(), browse)
        self.message.add(browse, self.ttl, "PTR", owner.to_text())
        self.message.delete(owner)
        self.message.add(owner, self.ttl, "SRV", f"0 0 {port} {self.host}")
        self.message.add(owner, self.ttl, "TXT", " ".join(f'"{text}"' for text in texts) or '""')
        return self

    def commit(self, service, mapped_port, manifest, port="_80._tcp"):
        """A commitment: this peer serves `manifest` for `service` at its port `mapped_port`."""
        return self.service(mapped_port, port, service, texts=["v=1", f"manifest=sha256:{manifest}"])

    def signed(self, **fields):
        return self.key.sign(self.message, self.host, **fields)

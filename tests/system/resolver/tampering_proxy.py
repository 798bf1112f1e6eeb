"""Stands between a resolver and a nameserver and alters what comes back as the test says.

    tampering_proxy.py ADDRESS PORT SERVER_ADDRESS SERVER_PORT MODE_FILE

MODE_FILE holds one word: pass, strip, flip, expired, signer, nxdomain, nodata, wildcard, silent, servfail.
"""
import pathlib
import sys

import dns.flags
import dns.message
import dns.name
import dns.query
import dns.rcode
import dns.rdatatype
import dns.rrset

import dns_service

address, port, server, server_port, mode_path = (
    sys.argv[1], int(sys.argv[2]), sys.argv[3], int(sys.argv[4]), pathlib.Path(sys.argv[5]))


def signatures(message):
    for section in (message.answer, message.authority, message.additional):
        for rrset in section:
            if rrset.rdtype == dns.rdatatype.RRSIG:
                yield section, rrset


def alter_signatures(response, **changes):
    for _, rrset in signatures(response):
        altered = [rdata.replace(**changes) for rdata in rrset]
        rrset.clear()
        for rdata in altered:
            rrset.add(rdata, rrset.ttl)


def ask(query):
    return dns.query.tcp(query, server, 5, server_port)


def altered(wire, mode):
    query = dns.message.from_wire(wire)
    response = ask(query)
    response.id = query.id
    if query.question[0].rdtype == dns.rdatatype.DNSKEY and mode not in ("strip_keys", "servfail"):
        return response.to_wire()
    if mode.startswith("strip"):
        for section, rrset in list(signatures(response)):
            section.remove(rrset)
    elif mode == "flip":  # the last octet of each record that is no signature
        octets = bytearray(response.to_wire())
        rrset = (response.answer or response.authority)[0]
        data = rrset[0].to_digestable()
        at = bytes(octets).rindex(data[-4:]) + 3
        octets[at] ^= 1
        return bytes(octets)
    elif mode == "expired":
        alter_signatures(response, expiration=1_000_000_000)
    elif mode == "signer":
        alter_signatures(response, signer=dns.name.from_text("evil.example."))
    elif mode in ("nxdomain", "nodata"):
        # With the denial of another name, well signed.
        other = ask(dns.message.make_query("zzz-nobody." + query.question[0].name.parent().to_text(), "TXT",
                                           want_dnssec=True))
        response.answer, response.additional = [], []
        response.authority = other.authority
        response.set_rcode(dns.rcode.NXDOMAIN if mode == "nxdomain" else dns.rcode.NOERROR)
    elif mode == "wildcard":
        # What the wildcard says, for a name that exists.
        name = query.question[0].name
        other = ask(dns.message.make_query("nothing.wild.fed.example.", query.question[0].rdtype, want_dnssec=True))
        response = dns.message.make_response(query)
        response.use_edns(0, ednsflags=dns.flags.DO)
        for rrset in other.answer:
            renamed = dns.rrset.from_rdata_list(name, rrset.ttl, list(rrset))
            response.answer.append(renamed)
        response.authority = other.authority
    elif mode == "servfail":
        response = dns.message.make_response(query)
        response.set_rcode(dns.rcode.SERVFAIL)
    return response.to_wire()


def answer(wire):
    mode = mode_path.read_text().strip()
    return None if mode == "silent" else altered(wire, mode)


def fitted(question, reply):
    if len(reply) <= 1232:
        return reply
    short = dns.message.make_response(dns.message.from_wire(question))
    short.flags |= dns.flags.TC
    return short.to_wire()


dns_service.serve(address, port, answer, fitted)

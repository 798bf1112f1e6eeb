"""A small authority over UDP and TCP: answers from a JSON file that the test rewrites at will.

    fake_authority.py ADDRESS PORT ZONE_FILE QUERY_LOG

ZONE_FILE: {"zone": "fed.example.", "records": [["name", ttl, "TYPE", "rdata"], …], "silent": false}
Names outside the zone are REFUSED. QUERY_LOG gets one line "name TYPE" for each question.
"""
import json
import sys

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.rrset

import dns_service

address, port, zone_path, log_path = sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4]
log = open(log_path, "a", buffering=1)


def answer(wire):
    query = dns.message.from_wire(wire)
    with open(zone_path) as file:
        data = json.load(file)
    question = query.question[0]
    log.write(f"{question.name} {dns.rdatatype.to_text(question.rdtype)}\n")
    if data.get("silent"):
        return None
    zone = dns.name.from_text(data["zone"])
    response = dns.message.make_response(query)
    if not question.name.is_subdomain(zone) and data["zone"] != ".":
        response.set_rcode(dns.rcode.REFUSED)
        return response.to_wire()
    response.flags |= dns.flags.AA
    names = set()
    for name, ttl, rdtype, rdata in data["records"]:
        owner = dns.name.from_text(name)
        names.add(owner)
        if owner != question.name:
            continue
        if dns.rdatatype.from_text(rdtype) in (question.rdtype, dns.rdatatype.CNAME):
            add(response, response.answer, owner, ttl, rdtype, rdata)
    for rrset in list(response.answer):
        if rrset.rdtype == dns.rdatatype.SRV and not data.get("no_glue"):
            targets = {item.target for item in rrset}
            for name, ttl, rdtype, rdata in data["records"]:
                if dns.name.from_text(name) in targets and rdtype in ("A", "AAAA"):
                    add(response, response.additional, dns.name.from_text(name), ttl, rdtype, rdata)
    if not response.answer:
        if not any(name.is_subdomain(question.name) for name in names):
            response.set_rcode(dns.rcode.NXDOMAIN)
        add(response, response.authority, zone, 1, "SOA", "ns. host. 1 3600 600 86400 1")
    return response.to_wire()


def add(response, section, owner, ttl, rdtype, rdata):
    found = dns.rrset.from_text(owner, ttl, "IN", rdtype, rdata)
    rrset = response.find_rrset(section, owner, found.rdclass, found.rdtype, create=True)
    rrset.update(found)
    rrset.ttl = ttl


dns_service.serve(address, port, answer)

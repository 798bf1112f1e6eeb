"""A recursive resolver that misbehaves as the first label of the name says.

    hostile_upstream.py ADDRESS PORT QUERY_LOG

The truth is 192.0.2.80; whatever else is said is forged. QUERY_LOG gets one line "name TYPE" for each question."""
import os
import socket
import struct
import sys
import threading
import time

import dns.flags
import dns.message
import dns.name
import dns.rdataclass
import dns.rrset

address, port, log_path = sys.argv[1], int(sys.argv[2]), sys.argv[3]
log = open(log_path, "a", buffering=1)
TRUTH, FORGED = "192.0.2.80", "203.0.113.66"


def response(query, rdata=TRUTH, ttl=60):
    made = dns.message.make_response(query)
    made.flags |= dns.flags.RA
    name = query.question[0].name
    if query.question[0].rdtype == 1:
        made.answer.append(dns.rrset.from_text(name, ttl, "IN", "A", rdata))
    return made


def forgeries(query):
    """Answers that came from elsewhere, or for others: never to be believed."""
    for i in range(300):
        forged = response(query, FORGED)
        forged.id = (query.id + 1 + i * 211) & 0xffff
        if forged.id != query.id:
            yield forged.to_wire()
    other = dns.message.make_query("other.example.", "A")
    other.id = query.id
    forged = response(other, FORGED)
    yield forged.to_wire()
    forged = response(query, FORGED)
    wire = bytearray(forged.to_wire())
    end = wire.index(b"\0", 12) + 1
    wire[end + 2:end + 4] = struct.pack("!H", 3)  # the question's class
    yield bytes(wire)
    yield os.urandom(60)


def chain(query, names):
    made = dns.message.make_response(query)
    for owner, target in zip(names, names[1:]):
        made.answer.append(dns.rrset.from_text(owner, 60, "IN", "CNAME", target))
    return made


def answers(query, tcp):
    """What goes back, message by message."""
    name = query.question[0].name
    kind = name.labels[0].decode().rstrip("0123456789")
    if kind == "hang":
        return
    if kind == "late":
        time.sleep(0.2)
    if kind == "forged" and not tcp:
        yield from forgeries(query)
        time.sleep(0.05)
    if kind == "echo":
        yield query.to_wire()  # no response at all
    if kind == "loop":
        yield chain(query, [name.to_text(), "b.loop.example.", name.to_text()]).to_wire()
    elif kind == "chain":
        yield chain(query, [name.to_text()] + [f"c{i}.chain.example." for i in range(200)]).to_wire(max_size=65535)
    elif kind == "lying":
        wire = bytearray(response(query).to_wire())
        at = bytes(wire).rindex(b"\x00\x04\xc0\x00\x02\x50")
        wire[at:at + 2] = b"\xff\xff"
        yield bytes(wire)
    elif kind == "count":
        wire = bytearray(response(query).to_wire())
        wire[6:8] = b"\xff\xff"
        yield bytes(wire)
    elif kind == "cut":  # always truncated, by TCP too
        made = dns.message.make_response(query)
        made.flags |= dns.flags.TC
        yield made.to_wire()
    else:
        yield response(query).to_wire()


def handle_udp(wire, client):
    try:
        query = dns.message.from_wire(wire)
    except Exception:
        return
    log.write(f"{query.question[0].name} udp\n")
    for message in answers(query, False):
        udp.sendto(message[:1232] if len(message) <= 1232 else truncated(query), client)


def truncated(query):
    made = dns.message.make_response(query)
    made.flags |= dns.flags.TC
    return made.to_wire()


def handle_tcp(connection):
    with connection:
        connection.settimeout(10)
        try:
            while True:
                length = struct.unpack("!H", connection.recv(2, socket.MSG_WAITALL))[0]
                query = dns.message.from_wire(connection.recv(length, socket.MSG_WAITALL))
                log.write(f"{query.question[0].name} tcp\n")
                for message in answers(query, True):
                    connection.sendall(struct.pack("!H", len(message)) + message)
        except (OSError, struct.error):
            pass


def serve_tcp():
    listener = socket.create_server((address, port))
    while True:
        threading.Thread(target=handle_tcp, args=(listener.accept()[0],), daemon=True).start()


udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
udp.bind((address, port))
threading.Thread(target=serve_tcp, daemon=True).start()
print("ready", flush=True)
while True:
    data, sender = udp.recvfrom(65535)
    threading.Thread(target=handle_udp, args=(data, sender), daemon=True).start()

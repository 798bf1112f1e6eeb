"""What a hostile or broken upstream can do to those who ask through the stub: nothing forged, nothing endless, and
nobody else waits."""
# ctest: sanitized

import json
import time

import lab as laboratory

STUB = "127.0.0.55"
TRUTH, FORGED = "192.0.2.80", "203.0.113.66"
UPSTREAMS = ("127.0.0.81", "127.0.0.82", "127.0.0.83")

# Asks the stub for each name at once, by UDP and by TCP where that is truncated; what came and when.
ASK = """
import json, socket, sys, threading, time
import dns.message, dns.query, dns.flags
found = {}
def ask(name):
    begun = time.monotonic()
    query = dns.message.make_query(name, "A", use_edns=0)
    try:
        said = dns.query.udp(query, "127.0.0.55", 14)
        if said.flags & dns.flags.TC:
            said = dns.query.tcp(query, "127.0.0.55", 14)
        addresses = [rdata.to_text() for rrset in said.answer if rrset.rdtype == 1 for rdata in rrset]
        found[name] = [said.rcode(), addresses, time.monotonic() - begun]
    except Exception as error:
        found[name] = [-1, [repr(error)], time.monotonic() - begun]
threads = [threading.Thread(target=ask, args=(name,)) for name in sys.argv[1:]]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
print(json.dumps(found))
"""


def start(lab, upstreams=UPSTREAMS[:1]):
    for address in upstreams:
        lab.start(laboratory.PYTHON, laboratory.HERE / "hostile_upstream.py", address, 53, lab.folder / f"asked-{address}")
    lab.start_resolver(stub_listen=STUB, upstream=list(upstreams))


def ask(lab, *names):
    return json.loads(lab.python(ASK, *names))


def asked(lab, name):
    return sum(line.startswith(name) for path in lab.folder.glob("asked-*") for line in path.read_text().splitlines())


def test_nothing_forged_gets_through_every_question_ends_and_those_that_hang_keep_no_other_waiting(lab):
    start(lab, UPSTREAMS[:2])
    hostile = [f"{kind}.real.example" for kind in ("forged", "echo", "loop", "chain", "lying", "count", "cut", "hang")]
    hanging = [f"hang{i}.real.example" for i in range(100)]
    plain = [f"plain{i}.real.example" for i in range(20)]
    found = ask(lab, *hanging, *hostile, *plain)
    for name, (rcode, addresses, seconds) in found.items():
        assert rcode in (0, 2), (name, rcode, addresses)
        assert set(addresses) <= {TRUTH}, name
        assert seconds < 12, name
        assert asked(lab, name) <= 64, name
    for name in plain:
        assert found[name][1] == [TRUTH] and found[name][2] < 1, name
    assert found["forged.real.example"][1] == [TRUTH]
    assert [found[f"{kind}.real.example"][0] for kind in ("lying", "count", "hang")] == [2, 2, 2]


def test_one_silent_upstream_of_three_is_waited_for_once(lab):
    start(lab, UPSTREAMS[1:])
    lab.resolver.end()
    lab.start_resolver(stub_listen=STUB, upstream=list(UPSTREAMS))
    # The first one hears and says nothing, as a machine that is switched off.
    silent = lab.start(laboratory.PYTHON, "-c",
                       "import socket; s=socket.socket(socket.AF_INET, socket.SOCK_DGRAM); "
                       f"s.bind(('{UPSTREAMS[0]}', 53)); print('ready', flush=True)\nwhile True: s.recv(4096)")
    assert silent.process.poll() is None
    first = ask(lab, "plain1.real.example")["plain1.real.example"]
    assert first[1] == [TRUTH] and first[2] < 5
    for i in range(2, 6):
        begun = time.monotonic()
        assert ask(lab, f"plain{i}.real.example")[f"plain{i}.real.example"][1] == [TRUTH]
        assert time.monotonic() - begun < 2

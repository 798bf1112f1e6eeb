"""Names through NSS and through the stub listener; real DNS stays as it is."""
# ctest: sanitized

import signal
import time

import lab as laboratory

NAME = "blog.fed.example"
ADDRESS = "127.0.0.11"
REAL = {"zone": ".", "records": [["www.real.example.", 300, "A", "192.0.2.80"],
                                 ["www.real.example.", 300, "AAAA", "2001:db8::80"],
                                 ["alias.real.example.", 300, "CNAME", "www.real.example."],
                                 ["80.2.0.192.in-addr.arpa.", 300, "PTR", "www.real.example."],
                                 ["real.example.", 300, "TXT", '"v=spf1" "-all"']]}


def start_real_dns(lab):
    import json
    (lab.folder / "real.json").write_text(json.dumps(REAL))
    return lab.start(laboratory.PYTHON, laboratory.HERE / "fake_authority.py", laboratory.UPSTREAM, 53,
                     lab.folder / "real.json", lab.folder / "real-queries")


def test_getaddrinfo_gives_the_synthetic_address_and_the_reverse_gives_the_name(federation):
    federation.publish(NAME, [(ADDRESS, 8080)])
    code = """
import socket, sys
name = sys.argv[1]
found = socket.getaddrinfo(name, 80, type=socket.SOCK_STREAM, flags=socket.AI_CANONNAME)
print(found[0][4][0], found[0][3], len(found))
print(socket.gethostbyname_ex(name.upper()))
print(socket.gethostbyaddr(found[0][4][0])[0])
try:
    socket.getaddrinfo(name, 80, family=socket.AF_INET6); print("unexpected")
except socket.gaierror as error:
    print("no IPv6")
print(socket.getaddrinfo(name, 80, family=socket.AF_INET6, flags=socket.AI_V4MAPPED, type=socket.SOCK_STREAM)[0][4][0])
"""
    lines = federation.python(code, NAME).splitlines()
    address = lines[0].split()[0]
    assert address.startswith("127.") and lines[0].split()[1:] == [NAME, "1"]
    assert address in lines[1] and lines[2] == NAME and lines[3] == "no IPv6"
    assert lines[4] == f"::ffff:{address}"


def test_the_address_of_a_name_stays_across_lookups_and_restarts(federation):
    federation.publish(NAME, [(ADDRESS, 8080)])
    federation.peer("http", ADDRESS)
    address = federation.address_of(NAME)
    assert federation.address_of(NAME) == address
    assert federation.resolver.end(signal.SIGTERM) == 0
    federation.start_resolver()
    # Nobody looks up: a browser has the address in its cache.
    result = federation.curl(f"http://{address}/")
    assert result.stdout == ADDRESS, result.stderr


def test_a_killed_daemon_comes_back_over_its_own_socket(federation):
    federation.publish(NAME, [(ADDRESS, 8080)])
    address = federation.address_of(NAME)
    federation.resolver.end(signal.SIGKILL)
    federation.start_resolver()
    assert federation.address_of(NAME) == address


def test_real_names_are_untouched(federation):
    start_real_dns(federation)
    result = federation.run("getent", "ahosts", "www.real.example")
    assert {line.split()[0] for line in result.stdout.splitlines()} == {"192.0.2.80", "2001:db8::80"}
    assert federation.run("getent", "hosts", "192.0.2.80").stdout.split() == ["192.0.2.80", "www.real.example"]
    assert federation.run("getent", "hosts", "no.such.name.example").returncode == 2
    assert not any("real.example" in question for question in federation.questions())


def test_without_the_daemon_lookups_fall_through_at_once(federation):
    start_real_dns(federation)
    federation.resolver.end(signal.SIGTERM)
    begun = time.monotonic()
    result = federation.run("getent", "ahostsv4", "www.real.example")
    assert result.stdout.split()[0] == "192.0.2.80"
    assert time.monotonic() - begun < 0.5


def test_a_daemon_that_hangs_costs_five_seconds_and_not_more(federation):
    start_real_dns(federation)
    federation.resolver.process.send_signal(signal.SIGSTOP)
    begun = time.monotonic()
    result = federation.run("getent", "ahostsv4", "www.real.example")
    assert result.stdout.split()[0] == "192.0.2.80"
    assert 4.5 < time.monotonic() - begun < 6.5
    federation.resolver.process.send_signal(signal.SIGCONT)


def test_answers_are_cached_for_their_ttl_positive_and_negative(federation):
    federation.publish(NAME, [(ADDRESS, 8080)], ttl=300)
    for _ in range(5):
        assert federation.address_of(NAME)
        assert federation.run("getent", "ahostsv4", "nobody.fed.example").returncode == 2
    questions = federation.questions()
    assert questions.count(f"{NAME}. TXT") == 1
    assert 1 <= questions.count("nobody.fed.example. TXT") <= 3  # its SOA says one second


def test_a_list_that_cannot_be_refreshed_serves_on(federation):
    federation.publish(NAME, [(ADDRESS, 8080)], ttl=1)
    federation.peer("http", ADDRESS)
    assert federation.curl(f"http://{NAME}/").stdout == ADDRESS
    federation.zone["silent"] = True
    federation.write_zone()
    time.sleep(1.1)  # the TTL is over
    assert federation.curl(f"http://{NAME}/").stdout == ADDRESS


def test_a_second_authority_answers_when_the_first_is_away(lab):
    lab.start_authority()
    lab.start_resolver(authority=["127.0.0.99", laboratory.AUTHORITY])
    lab.publish(NAME, [(ADDRESS, 8080)])
    assert lab.address_of(NAME)


def test_addresses_that_do_not_come_along_are_asked_for(federation):
    federation.publish(NAME, [(ADDRESS, 8080)])
    federation.zone["no_glue"] = True
    federation.write_zone()
    federation.peer("http", ADDRESS)
    assert federation.curl(f"http://{NAME}/").stdout == ADDRESS
    assert f"p127-0-0-11.peers.fed.example. A" in federation.questions()


def test_names_outside_the_zone_are_asked_only_with_lookaside(lab):
    lab.zone["zone"] = "."
    lab.start_authority()
    lab.publish("www.outside.example", [(ADDRESS, 8080)])
    start_real_dns(lab)
    lab.start_resolver()
    assert lab.address_of("www.outside.example") is None
    lab.resolver.end(signal.SIGTERM)
    lab.start_resolver(lookaside="yes")
    assert lab.address_of("www.outside.example").startswith("127.")
    assert lab.address_of("www.real.example") == "192.0.2.80"


def test_a_zone_cannot_lead_into_this_machine_nor_into_the_relay(lab):
    lab.start(laboratory.PYTHON, laboratory.HERE / "fake_authority.py", "198.51.100.1", 53,
              lab.folder / "zone.json", lab.folder / "queries")
    lab.start_resolver(authority="198.51.100.1")
    lab.peer("http", ADDRESS, name="secret of this machine")
    lab.publish(NAME, [(ADDRESS, 8080), ("127.200.0.1", 8080)])
    assert lab.lookup(NAME)["candidates"] == []
    assert lab.curl(f"http://{NAME}/").returncode != 0


def test_a_port_that_another_program_has_on_all_addresses_is_not_promised(federation):
    federation.start(laboratory.PYTHON, "-c", "import socket; s=socket.create_server(('0.0.0.0', 80));"
                     "print('ready', flush=True); s.accept()")
    federation.publish(NAME, [(ADDRESS, 8080)])
    assert federation.address_of(NAME) is None
    assert "Address already in use" in federation.log()


def dig(lab, *arguments):
    code = """
import sys, dns.message, dns.query, dns.rcode
name, rdtype, how = sys.argv[1:4]
query = dns.message.make_query(name, rdtype, use_edns=len(sys.argv) > 4)
ask = dns.query.tcp if how == "tcp" else dns.query.udp
answer = ask(query, "127.0.0.55", timeout=10)
print(dns.rcode.to_text(answer.rcode()), "TC" if answer.flags & dns.flags.TC else "-",
      *[f"{r.ttl}:{i.to_text()}" for r in answer.answer for i in r])
"""
    return lab.python("import dns.flags" + code, *arguments).strip()


def test_the_stub_listener_answers_for_the_federation_and_passes_on_the_rest(lab):
    lab.start_authority()
    start_real_dns(lab)
    lab.start_resolver(stub_listen="127.0.0.55", upstream=laboratory.UPSTREAM)
    lab.publish(NAME, [(ADDRESS, 8080)])
    for how in ("udp", "tcp"):
        rcode, _, found = dig(lab, NAME, "A", how).split()
        assert rcode == "NOERROR" and found.startswith("60:127.")
        assert dig(lab, NAME, "AAAA", how) == "NOERROR -"
        assert dig(lab, NAME, "HTTPS", how) == "NOERROR -"
        address = found.split(":")[1]
        reverse = ".".join(reversed(address.split("."))) + ".in-addr.arpa"
        assert dig(lab, reverse, "PTR", how) == f"NOERROR - 60:{NAME}."
        assert dig(lab, "1.255.255.127.in-addr.arpa", "PTR", how) == "NXDOMAIN -"
        assert dig(lab, "www.real.example", "A", how) == "NOERROR - 300:192.0.2.80"
        assert dig(lab, "www.real.example", "AAAA", how) == "NOERROR - 300:2001:db8::80"
        assert dig(lab, "real.example", "TXT", how) == 'NOERROR - 300:"v=spf1" 300:"-all"'.replace('" 300:"', '" "')
        assert "8080 p127-0-0-11" in dig(lab, f"_80._tcp.{NAME}", "SRV", how)
        assert dig(lab, "nobody.fed.example", "A", how).startswith("NXDOMAIN")


def test_the_stub_says_servfail_when_real_dns_is_away(lab):
    lab.start_authority()
    lab.start_resolver(stub_listen="127.0.0.55", upstream=laboratory.UPSTREAM)
    assert dig(lab, "www.real.example", "A", "udp") == "SERVFAIL -"


def test_configuration_errors_name_file_and_line(lab):
    config = lab.folder / "bad.conf"
    config.write_text("zone = fed.example\nauthority = 127.0.0.1\npool = 127.0.0.0/33\n")
    result = lab.run(laboratory.programs() / "mutua-resolver", "--config", config, "--check-config")
    assert result.returncode == 1 and f"{config}:3: pool" in result.stderr
    config.write_text("zone = fed.example\nauthority = 127.0.0.1\ncolour = blue\n")
    result = lab.run(laboratory.programs() / "mutua-resolver", "--config", config, "--check-config")
    assert result.returncode == 1 and f"{config}:3:" in result.stderr


def test_a_second_daemon_does_not_take_over_a_living_ones_socket(federation):
    result = federation.run(laboratory.programs() / "mutua-resolver", "--config", federation.folder / "resolver.conf")
    assert result.returncode == 1 and "another daemon answers there" in result.stderr
    federation.publish(NAME, [(ADDRESS, 8080)])
    assert federation.address_of(NAME)


def test_a_port_that_the_owner_gives_up_is_closed_and_a_new_one_opened(federation):
    federation.peer("http", ADDRESS)
    federation.publish(NAME, [(ADDRESS, 8080)], ttl=1)
    address = federation.address_of(NAME)
    holder = federation.start(laboratory.PYTHON, "-c", f"""
import socket, sys
s = socket.create_connection(("{address}", 80), 10)
s.sendall(b"GET / HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n")
answer = b""
while not answer.endswith(b"{ADDRESS}"): answer += s.recv(1000)
print("ready", flush=True)
s.recv(1)
""")
    federation.zone["records"] = []
    federation.publish(NAME, [(ADDRESS, 8080)], port=8000, ttl=1)
    time.sleep(1.1)  # the TTL is over
    assert federation.address_of(NAME) == address
    assert federation.curl(f"http://{address}:8000/").stdout == ADDRESS
    assert federation.curl(f"http://{address}:80/").returncode == 7, "nobody listens there any more"
    assert holder.process.poll() is None, "an established connection goes on"
    # And back again, while the old connection still lives.
    federation.zone["records"] = []
    federation.publish(NAME, [(ADDRESS, 8080)], ttl=1)
    time.sleep(1.1)
    assert federation.address_of(NAME) == address
    assert federation.curl(f"http://{NAME}/").stdout == ADDRESS

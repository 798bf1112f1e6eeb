"""Questions by AF_XDP: in the driver and above it, beside all that goes up the stack."""

import re
import socket
import subprocess
import time

import dns.edns
import dns.message
import dns.query
import dns.rcode
import pytest

from daemons import Authority
from netlab import NetLab, available

ZONE = """\
$ORIGIN fed.test.
$TTL 300
@ SOA ns1 hostmaster 1 3600 600 604800 60
@ NS ns1
ns1 A 10.99.0.1
a TXT hello
""" + "".join(f"many TXT {'x' * 200}{i}\n" for i in range(10))
IPV6 = "fd99::1"

pytestmark = pytest.mark.skipif(not available(), reason="needs the right to make network namespaces")


@pytest.fixture
def lab():
    with NetLab() as made:
        server, client = made.add_host("server"), made.add_host("client")
        for host, address in ((server, IPV6), (client, "fd99::2")):
            host.run(["ip", "address", "add", f"{address}/64", "dev", "eth0", "nodad"])
        yield made


def put_behind_bridge(host):
    """Moves its address to an interface whose driver knows nothing of XDP."""
    host.run(["ip", "link", "add", "bridge", "type", "bridge"])
    host.run(["ip", "link", "set", "eth0", "master", "bridge"])
    host.run(["ip", "address", "flush", "dev", "eth0"])
    host.run(["ip", "address", "add", f"{host.address}/24", "dev", "bridge"])
    host.run(["ip", "link", "set", "bridge", "up"])


def serve(lab, folder, *addresses, options=()):
    server = lab.hosts["server"]
    options = ["metrics_listen = 127.0.0.1:9153", "response_rate_limit = 0", *options]
    return Authority(folder, zone_text=ZONE, listen=[f"{address} xdp" for address in addresses],
                     prefix=server.command([]), options=options)


def answered(lab, way):
    """What the threads of one way have answered so far."""
    text = lab.hosts["server"].run(["curl", "-s", "http://127.0.0.1:9153/metrics"]).stdout
    return sum(int(count) for count in
               re.findall(rf'mutua_authority_responses_total{{transport="{way}"[^}}]*}} (\d+)', text))


def ask(address, name="a.fed.test.", rdtype="TXT"):
    return dns.query.udp(dns.message.make_query(name, rdtype, use_edns=0, payload=1232), address, 5)


def ask_at_length(address):
    """A question that is padded beyond what one packet holds."""
    padding = dns.edns.GenericOption(dns.edns.OptionType(12), bytes(2000))
    question = dns.message.make_query("a.fed.test.", "TXT", use_edns=0, payload=4096, options=[padding])
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as channel:
        channel.settimeout(5)
        channel.sendto(question.to_wire(max_size=4096), (address, 53))
        return dns.message.from_wire(channel.recv(4096))


@pytest.mark.parametrize("mode", ["native", "generic"])
def test_questions_go_past_the_stack_and_everything_else_through_it(lab, tmp_path, mode):
    address = lab.hosts["server"].address
    if mode == "generic":
        put_behind_bridge(lab.hosts["server"])
    addresses = [address] if mode == "generic" else [address, f"[{IPV6}]"]
    with serve(lab, tmp_path, *addresses) as authority, lab.hosts["client"].entered():
        assert f"mode={mode}" in authority.log()
        for where in [address] + ([IPV6] if mode == "native" else []):
            before = answered(lab, "xdp")
            for _ in range(20):
                assert "hello" in str(ask(where).answer[0])
            assert answered(lab, "xdp") == before + 20
        assert answered(lab, "udp") == 0
        # Too large for a datagram: TC, and TCP beside.
        assert ask(address, "many.fed.test.").flags & dns.flags.TC
        whole = dns.query.tcp(dns.message.make_query("many.fed.test.", "TXT"), address, 5)
        assert len(whole.answer[0]) == 10
        # A question in two fragments, and an update.
        before = answered(lab, "xdp")
        assert "hello" in str(ask_at_length(address).answer[0])
        update = authority.operator_update()
        update.replace("a", 60, "TXT", "changed")
        authority.address = address
        assert authority.send(update, tcp=False).rcode() == dns.rcode.NOERROR
        assert "changed" in str(ask(address).answer[0])
        assert answered(lab, "xdp") == before + 1
        assert answered(lab, "udp") >= 1
        # A question that ends with a TSIG.
        signed = dns.message.make_query("a.fed.test.", "TXT")
        signed.use_tsig(update.keyring, update.keyname, algorithm=update.keyalgorithm)
        assert dns.query.udp(signed, address, 5).had_tsig
        assert authority.stop() == 0
    shown = lab.hosts["server"].run(["ip", "link", "show"]).stdout
    assert "xdp" not in shown, "the program leaves with the server"


def test_an_interface_that_is_taken_is_served_by_sockets(lab, tmp_path):
    server = lab.hosts["server"]
    second = "10.99.0.77"
    server.run(["ip", "address", "add", f"{second}/24", "dev", "eth0"])
    with serve(lab, tmp_path / "first", server.address):
        other = Authority(tmp_path / "second", zone_text=ZONE, listen=[f"{second} xdp"],
                          prefix=server.command([]))
        with other, lab.hosts["client"].entered():
            assert "xdp.unavailable interface=eth0" in other.log()
            assert "hello" in str(ask(second).answer[0])
            assert "hello" in str(ask(server.address).answer[0])


def test_others_names_are_forwarded_and_the_answers_find_their_way(lab, tmp_path):
    upstream = Authority(tmp_path / "upstream", zone="other.test", listen=["127.0.0.1:5399"],
                         prefix=lab.hosts["server"].command([]))
    address = lab.hosts["server"].address
    with upstream, serve(lab, tmp_path, address, options=["unknown_names = forward", "upstream = 127.0.0.1:5399"]):
        with lab.hosts["client"].entered():
            assert ask(address, "ns1.other.test.", "A").answer


def test_a_killed_server_leaves_nothing_at_the_interface(lab, tmp_path):
    address = lab.hosts["server"].address
    with serve(lab, tmp_path, address) as authority:
        authority.kill()
        deadline = time.monotonic() + 10
        while "xdp" in lab.hosts["server"].run(["ip", "link", "show"]).stdout:
            assert time.monotonic() < deadline
        authority.listen = [f"{address} xdp"]
        authority.start()
        with lab.hosts["client"].entered():
            assert "hello" in str(ask(address).answer[0])


def test_addresses_that_no_interface_brings_questions_to_are_refused(tmp_path):
    for address, problem in (("127.0.0.1:0", "loopback"), ("0.0.0.0:0", "not all")):
        authority = Authority(tmp_path, listen=[f"{address} xdp"])
        authority.write_config()
        checked = subprocess.run([*authority.command, "--check-config"], capture_output=True, text=True, check=False)
        assert checked.returncode == 1 and problem in checked.stderr

# ctest: timeout=600
# ctest: sanitized
"""A zone that the authority signs is good for everybody who checks, after any updates."""

import os
import random
import re
import shutil
import subprocess

import dns.dnssec
import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.query
import dns.rcode
import dns.rdatatype
import dns.rrset
import dns.zone
import pytest

from daemons import Authority, free_port, program, wait_until
from netlab import die_with_parent

ZONE_TEXT = """\
$ORIGIN fed.test.
$TTL 300
@ SOA ns1 hostmaster 1 3600 600 604800 60
@ NS ns1
ns1 A 127.0.0.1
*.wild TXT "whoever"
alias CNAME ns1
deep.under.nothing TXT "below"
MiXed A 192.0.2.3
sub NS ns.sub
ns.sub A 192.0.2.4
secure NS ns.secure
secure DS 12345 13 2 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef
ns.secure A 192.0.2.5
_80._tcp.blog SRV 0 0 20000 ns1
"""
SIGNINGS = (("ed25519", "nsec"), ("ecdsap256sha256", "nsec"), ("ed25519", "nsec3"))


def tool(name):
    return shutil.which(name, path=os.environ["PATH"] + ":/usr/sbin:/sbin")


def need(name):
    if not tool(name):
        pytest.skip(f"NOT RUN: {name} is not installed (./dev setup --test)")
    return tool(name)


@pytest.fixture(params=SIGNINGS, ids="-".join)
def signed(request, tmp_path):
    algorithm, denial = request.param
    with Authority(tmp_path, zone_text=ZONE_TEXT,
                   options=[f"dnssec_keys = {tmp_path}/keys", f"dnssec_algorithm = {algorithm}", f"dnssec_denial = {denial}",
                            "transfer = 127.0.0.1"]) as running:
        yield running


def update_at_random(authority, count, seed, cuts=True):
    choose = random.Random(seed)
    for _ in range(count):
        message = authority.operator_update()
        for _ in range(choose.randrange(1, 4)):
            name = choose.choice(("", "a.", "b.c.")) + f"n{choose.randrange(25)}"
            kind = choose.randrange(5 if cuts else 4)
            if kind == 0:
                message.delete(name)
            elif kind == 1:
                message.add(name, 60, "A", f"192.0.2.{choose.randrange(250)}")
            elif kind == 2:
                message.replace(name, choose.choice((60, 300)), "TXT", f'"{choose.randrange(1000)}"')
            elif kind == 3:
                message.add(f"_80._tcp.{name}", 60, "SRV", f"0 0 {choose.randrange(1, 60000)} n1")
            else:
                # A cut: what is below it changes hands.
                if choose.random() < 0.5:
                    message.replace(f"n{choose.randrange(25)}", 60, "NS", "ns1")
                else:
                    message.delete(f"n{choose.randrange(25)}", "NS")
        assert authority.send(message).rcode() == dns.rcode.NOERROR


def transferred(authority):
    zone = dns.zone.Zone("fed.test.")
    dns.query.inbound_xfr("127.0.0.1", zone, port=authority.port, timeout=10, lifetime=60)
    return zone


def master_file(authority, folder):
    """The zone by AXFR with dig, which alters nothing."""
    out = subprocess.run(["dig", "@127.0.0.1", "-p", str(authority.port), "+noall", "+answer", "+onesoa", "fed.test", "AXFR"],
                         check=True, capture_output=True, text=True).stdout
    path = folder / "signed.zone"
    path.write_text(out)
    return path


def check_with_all_tools(authority, folder, during_roll=False):
    path = master_file(authority, folder)
    # Knot 3.x takes every key with the SEP bit for one that signs keys alone as soon as there are two, and
    # misses the signatures of others over the data: it cannot judge a zone with two CSKs.
    knot_checks = "off" if during_roll else "on"
    checks = {"ldns-verify-zone": [str(path)], "named-checkzone": ["-q", "-i", "none", "fed.test", str(path)],
              "kzonecheck": ["--dnssec", knot_checks, "-o", "fed.test", str(path)]}
    ran = 0
    for name, arguments in checks.items():
        if not tool(name):
            continue
        ran += 1
        done = subprocess.run([tool(name), *arguments], capture_output=True, text=True)
        assert done.returncode == 0, f"{name}: {done.stdout[-2000:]}{done.stderr[-2000:]}\n{path.read_text()[:3000]}"
    if not ran:
        pytest.skip("NOT RUN: no ldns-verify-zone, named-checkzone or kzonecheck (./dev setup --test)")


def test_the_whole_zone_verifies_before_and_after_random_updates(signed, tmp_path):
    check_with_all_tools(signed, tmp_path)
    for seed in range(4):
        update_at_random(signed, 75, seed)
        check_with_all_tools(signed, tmp_path)
    before = signed.serial()
    signed.stop()
    signed.start()
    assert signed.serial() == before  # what is well signed is left alone
    check_with_all_tools(signed, tmp_path)


def keys(authority, *words):
    done = subprocess.run([program("mutua-authority"), "--config", authority.folder / "authority.conf", "keys", *words],
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def ds_of(authority):
    return keys(authority, "ds")


class Validator:
    """unbound, which trusts the key that the DS names and asks the authority alone."""

    def __init__(self, authority, folder):
        self.port = free_port()
        self.folder = folder / "unbound"
        self.folder.mkdir()
        anchor = self.folder / "anchor"
        anchor.write_text(ds_of(authority) + "\n")
        configuration = self.folder / "unbound.conf"
        configuration.write_text(f"""server:
  interface: 127.0.0.1@{self.port}
  username: ""
  chroot: ""
  directory: "{self.folder}"
  pidfile: "{self.folder}/pid"
  use-syslog: no
  do-not-query-localhost: no
  module-config: "validator iterator"
  trust-anchor-file: "{anchor}"
  local-zone: "test." nodefault
  num-threads: 1
  cache-max-ttl: 0
  cache-max-negative-ttl: 0
remote-control:
  control-enable: no
stub-zone:
  name: "fed.test"
  stub-addr: 127.0.0.1@{authority.port}
""")
        with open(self.folder / "log", "wb") as log:
            self.process = subprocess.Popen([need("unbound"), "-d", "-c", str(configuration)], stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=log, preexec_fn=die_with_parent)
        wait_until(lambda: self._try("fed.test.", "SOA"), 20, "unbound answers")

    def _try(self, name, rdtype):
        try:
            return self.ask(name, rdtype)
        except (OSError, dns.exception.DNSException):
            return None

    def ask(self, name, rdtype):
        query = dns.message.make_query(name, rdtype, want_dnssec=True)
        query.flags |= dns.flags.AD
        return dns.query.udp(query, "127.0.0.1", 5, self.port)

    def stop(self):
        self.process.terminate()
        self.process.wait(10)


def test_unbound_believes_every_answer_and_denial(signed, tmp_path):
    need("unbound")
    unbound = Validator(signed, tmp_path)
    try:
        expected = {
            ("fed.test.", "DNSKEY"): dns.rcode.NOERROR, ("ns1.fed.test.", "A"): dns.rcode.NOERROR,
            ("mixed.fed.test.", "A"): dns.rcode.NOERROR, ("alias.fed.test.", "A"): dns.rcode.NOERROR,
            ("some.wild.fed.test.", "TXT"): dns.rcode.NOERROR,       # a wildcard, and that the name is not
            ("some.wild.fed.test.", "A"): dns.rcode.NOERROR,         # a wildcard without the type
            ("ns1.fed.test.", "TXT"): dns.rcode.NOERROR,             # no data
            ("nothing.fed.test.", "A"): dns.rcode.NOERROR,           # an empty non-terminal
            ("_80._tcp.blog.fed.test.", "SRV"): dns.rcode.NOERROR,
            ("_81._tcp.blog.fed.test.", "SRV"): dns.rcode.NXDOMAIN,
            ("zz.fed.test.", "A"): dns.rcode.NXDOMAIN,               # after the last name
            ("!.fed.test.", "A"): dns.rcode.NXDOMAIN,                # before the first
            ("x.ns1.fed.test.", "A"): dns.rcode.NXDOMAIN,
            ("secure.fed.test.", "DS"): dns.rcode.NOERROR,
            ("sub.fed.test.", "DS"): dns.rcode.NOERROR,              # that the zone below is not signed
        }
        for round_number in range(3):
            for (name, rdtype), rcode in expected.items():
                answer = unbound.ask(name, rdtype)
                assert answer.rcode() == rcode, f"{name} {rdtype}: {answer}\n{(tmp_path / 'unbound/log').read_text()[-2000:]}"
                assert answer.flags & dns.flags.AD, f"{name} {rdtype} is not secure: {answer}"
            update_at_random(signed, 20, round_number, cuts=False)  # unbound would follow them
        for number in range(25):
            for name in (f"n{number}.fed.test.", f"a.n{number}.fed.test.", f"_80._tcp.n{number}.fed.test."):
                answer = unbound.ask(name, "TXT")
                assert answer.rcode() in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN), answer
                assert answer.flags & dns.flags.AD, answer
    finally:
        unbound.stop()


def test_delv_verifies_with_the_printed_ds(signed, tmp_path):
    delv = need("delv")
    owner, _, _, tag, algorithm, digest_type, digest = ds_of(signed).split()
    anchors = tmp_path / "anchors"
    anchors.write_text(f'trust-anchors {{ {owner} static-ds {tag} {algorithm} {digest_type} "{digest}"; }};\n')
    for name, rdtype, word in (("ns1.fed.test", "A", "fully validated"), ("ns1.fed.test", "AAAA", "fully validated"),
                               ("zz.fed.test", "A", "fully validated")):
        done = subprocess.run([delv, "@127.0.0.1", "-p", str(signed.port), "-a", str(anchors), "+root=fed.test", name, rdtype],
                              capture_output=True, text=True)
        assert word in done.stdout, done.stdout + done.stderr


def test_who_does_not_ask_for_proof_gets_none(signed):
    for name, rdtype in (("ns1", "A"), ("zz", "A"), ("ns1", "TXT"), ("some.wild", "TXT"), ("x.sub", "A"), ("alias", "A")):
        answer = signed.query(name, rdtype)
        types = {rrset.rdtype for section in (answer.answer, answer.authority, answer.additional) for rrset in section}
        assert not types & {dns.rdatatype.RRSIG, dns.rdatatype.NSEC, dns.rdatatype.NSEC3}, answer


def test_the_chain_of_a_signed_zone_stays_what_it_is(signed):
    denial = next(option for option in signed.options if option.startswith("dnssec_denial"))
    is_hashed = denial.endswith("nsec3")
    types = {dns.rdatatype.to_text(rdata.rdtype) for _, _, rdata in transferred(signed).iterate_rdatas()}
    assert ("NSEC3" in types, "NSEC3PARAM" in types, "NSEC" in types) == (is_hashed, is_hashed, not is_hashed)
    # Where an NSEC3 stands there is no name for questions, and nobody may write one.
    for name, _, _ in transferred(signed).iterate_rdatas("NSEC3"):
        owner = f"{name}.fed.test."
        for rdtype in ("NSEC3", "A", "RRSIG"):
            assert signed.query(dns.name.from_text(owner), rdtype).rcode() == dns.rcode.NXDOMAIN
    update = signed.operator_update()
    update.add("x", 60, "NSEC3", "1 0 0 - 2t7b4g4vsa5smi47k61mv5bv1a22bojr A")
    assert signed.send(update).rcode() == dns.rcode.REFUSED


def kind_of_denial(authority, name):
    """The types in the authority section of a name error; None where that is no proof."""
    query = dns.message.make_query(f"{name}.fed.test.", "A", want_dnssec=True)
    answer = dns.query.tcp(query, "127.0.0.1", 5, authority.port)
    assert answer.rcode() == dns.rcode.NXDOMAIN
    kinds = {rrset.rdtype for rrset in answer.authority} & {dns.rdatatype.NSEC, dns.rdatatype.NSEC3}
    return dns.rdatatype.to_text(kinds.pop()) if len(kinds) == 1 else None


def has_chain(authority, folder, denial):
    return re.search(rf"\sIN\s+{denial.upper()}\s", master_file(authority, folder).read_text())


def test_the_chain_is_changed_while_the_zone_is_served_and_every_denial_holds(tmp_path):
    need("unbound")
    text = ZONE_TEXT + "".join(f"many{number} TXT x\n" for number in range(2500))
    with Authority(tmp_path, zone_text=text, options=[f"dnssec_keys = {tmp_path}/keys", "transfer = 127.0.0.1",
                                                      "dnssec_denial = nsec"]) as authority:
        wait_until(lambda: authority.rdatas("fed.test.", "DNSKEY"), 60, "the zone is signed")
        unbound = Validator(authority, tmp_path)
        choose = random.Random(4)

        def expect_truth(name, rcode):
            answer = unbound.ask(f"{name}.fed.test.", "TXT")
            assert answer.rcode() == rcode and answer.flags & dns.flags.AD, f"{answer}\n{(tmp_path / 'unbound/log').read_text()[-2000:]}"
        try:
            for before, after in (("nsec", "nsec3"), ("nsec3", "nsec")):
                authority.stop()
                authority.options[-1] = f"dnssec_denial = {after}"
                authority.start()
                seen, crashes = [], 0
                is_done = False
                while not is_done:
                    is_done = len(seen) == 2 and not has_chain(authority, tmp_path, before)
                    number = choose.randrange(2500)
                    update = authority.operator_update()
                    update.add(f"new{number}", 60, "TXT", "x")
                    assert authority.send(update).rcode() == dns.rcode.NOERROR
                    expect_truth(f"new{number}", dns.rcode.NOERROR)
                    expect_truth(f"many{number}", dns.rcode.NOERROR)
                    expect_truth(f"absent{number}", dns.rcode.NXDOMAIN)
                    expect_truth(f"some.wild.{number}", dns.rcode.NXDOMAIN)
                    kind = kind_of_denial(authority, f"absent{number}")
                    seen += [kind] if seen[-1:] != [kind] else []
                    if crashes < len(seen):  # in the midst of the one, and of the other
                        crashes += 1
                        authority.kill()
                        authority.start()
                assert seen == [before.upper(), after.upper()]
                check_with_all_tools(authority, tmp_path)
        finally:
            unbound.stop()


def test_the_addresses_of_a_list_come_with_their_signatures(signed):
    query = dns.message.make_query("_80._tcp.blog.fed.test.", "SRV", want_dnssec=True)
    answer = dns.query.udp(query, "127.0.0.1", 5, signed.port)
    def kinds(section):
        return [(rrset.rdtype, rrset.covers) for rrset in section]
    assert kinds(answer.answer) == [(dns.rdatatype.SRV, 0), (dns.rdatatype.RRSIG, dns.rdatatype.SRV)]
    assert kinds(answer.additional) == [(dns.rdatatype.A, 0), (dns.rdatatype.RRSIG, dns.rdatatype.A)]


def test_each_signature_has_the_ttl_of_what_it_covers(signed):
    query = dns.message.make_query("fed.test.", "SOA", want_dnssec=True)
    answer = dns.query.udp(query, "127.0.0.1", 5, signed.port)
    ttls = {(rrset.rdtype, rrset.covers): rrset.ttl for rrset in answer.answer}
    assert len(ttls) == 2 and len(set(ttls.values())) == 1
    query = dns.message.make_query("zz.fed.test.", "A", want_dnssec=True)
    denial = dns.query.udp(query, "127.0.0.1", 5, signed.port)
    assert {rrset.ttl for rrset in denial.authority} == {60}


def test_a_zone_that_was_not_signed_is_signed_at_the_next_start_and_a_new_key_replaces_the_old(tmp_path):
    with Authority(tmp_path, zone_text=ZONE_TEXT, options=["transfer = 127.0.0.1"]) as authority:
        assert not authority.rdatas("fed.test.", "DNSKEY")
        authority.stop()
        authority.options.append(f"dnssec_keys = {tmp_path}/keys")
        authority.start()
        check_with_all_tools(authority, tmp_path)
        first = authority.rdatas("fed.test.", "DNSKEY")
        authority.stop()
        shutil.rmtree(tmp_path / "keys")
        authority.start()
        check_with_all_tools(authority, tmp_path)
        assert len(first) == 1 and authority.rdatas("fed.test.", "DNSKEY").isdisjoint(first)


def test_a_large_zone_answers_and_takes_updates_while_it_is_signed(tmp_path):
    names = 12000
    text = ZONE_TEXT + "".join(f"m{number} A 192.0.2.{number % 250}\n" for number in range(names))
    with Authority(tmp_path, zone_text=text, options=[f"dnssec_keys = {tmp_path}/keys", "transfer = 127.0.0.1"]) as authority:
        # Ready before it is signed: nothing is said of DNSSEC yet, and everything else goes on.
        assert not authority.rdatas("fed.test.", "DNSKEY")
        update_at_random(authority, 3, 1, cuts=False)  # each goes between two of nearly fifty portions
        assert not authority.rdatas("fed.test.", "DNSKEY"), "signed too soon to be tested"
        query = dns.message.make_query("m7.fed.test.", "A", want_dnssec=True)
        answer = dns.query.udp(query, "127.0.0.1", 5, authority.port)
        assert [rrset.rdtype for rrset in answer.answer] == [dns.rdatatype.A]
        # A crash in the midst costs nothing: what was signed stays so.
        wait_until(lambda: "dnssec.signing" in authority.log(), 20, "the first portion")
        authority.kill()
        authority.start()
        wait_until(lambda: authority.rdatas("fed.test.", "DNSKEY"), 60, "the zone is signed")
        check_with_all_tools(authority, tmp_path)
        counts = [line for line in authority.log().splitlines() if " dnssec.signing " in line]
        assert "count=256 total=12" in counts[0]


def test_without_its_key_a_signed_zone_is_not_served_until_that_is_meant(tmp_path):
    with Authority(tmp_path, zone_text=ZONE_TEXT, options=["transfer = 127.0.0.1", f"dnssec_keys = {tmp_path}/keys"]) as authority:
        plain = {"SOA", "NS", "A", "TXT", "CNAME", "SRV", "DS"}
        def types():
            return {dns.rdatatype.to_text(rdata.rdtype) for _, _, rdata in transferred(authority).iterate_rdatas()}
        assert types() > plain
        authority.stop()
        authority.options.pop()
        with pytest.raises(AssertionError, match="is signed, but no dnssec_keys are configured.*dnssec = remove"):
            authority.start()
        authority.options.append("dnssec = keep")
        authority.start()
        assert types() > plain
        authority.stop()
        authority.options[-1] = "dnssec = remove"
        authority.start()
        assert types() == plain  # the DS of a zone below is no part of this zone's signing
        before = authority.serial()
        authority.stop()
        authority.start()
        assert authority.serial() == before


def test_the_zone_above_is_asked_for_the_ds(tmp_path):
    above_text = "$ORIGIN test.\n$TTL 60\n@ SOA ns1 h 1 3600 600 604800 60\n@ NS ns1\nns1 A 127.0.0.1\nfed NS ns1\n"
    options = [f"dnssec_keys = {tmp_path}/keys"]
    with Authority(tmp_path / "above", zone="test", zone_text=above_text) as above, \
         Authority(tmp_path / "below", zone_text=ZONE_TEXT, options=options) as below:
        below.options.append(f"dnssec_parent = 127.0.0.1:{above.port}")
        for _ in range(2):
            below.stop()
            below.start()
            assert "ds-seen" not in keys(below, "list")  # nothing stands there yet, or another
            other = above.operator_update()
            other.replace("fed", 60, "DS", "1 15 2 " + "ab" * 32)
            above.send(other)
        owner, _, _, *ds = ds_of(below).split()
        message = above.operator_update()
        message.replace("fed", 60, "DS", " ".join(ds))
        assert above.send(message).rcode() == dns.rcode.NOERROR
        below.stop()
        below.start()
        wait_until(lambda: "ds-seen" in keys(below, "list"), 20, "the DS is seen")


def test_keys_are_rolled_by_command_and_out_of_turn(tmp_path):
    with Authority(tmp_path, zone_text=ZONE_TEXT, options=["transfer = 127.0.0.1", f"dnssec_keys = {tmp_path}/keys"]) as authority:
        old = ds_of(authority).split()[3]
        new = keys(authority, "roll")
        # The running authority publishes it, and everything stays good.
        wait_until(lambda: len(authority.rdatas("fed.test.", "DNSKEY")) == 2, 20, "two keys")
        check_with_all_tools(authority, tmp_path, during_roll=True)
        assert ds_of(authority).split()[3] == old
        keys(authority, "retire", old)
        wait_until(lambda: len(authority.rdatas("fed.test.", "DNSKEY")) == 1, 20, "one key")
        wait_until(lambda: {text.split()[0] for text in authority.rdatas("fed.test.", "CDS")} == {new}, 20, "its CDS")
        check_with_all_tools(authority, tmp_path)
        assert ds_of(authority).split()[3] == new


def digest_of(authority):
    found = authority.rdatas("fed.test.", "ZONEMD")
    return next(iter(found)).split() if found else None


@pytest.mark.parametrize("is_signed", (False, True))
def test_a_quiet_zone_carries_its_digest_and_a_changed_one_none(tmp_path, is_signed):
    """RFC 8976; whatever names, glue, cuts and cases there are."""
    verify = need("ldns-verify-zone")
    options = ["transfer = 127.0.0.1", "zonemd = 1s"] + ([f"dnssec_keys = {tmp_path}/keys"] if is_signed else [])
    with Authority(tmp_path, zone_text=ZONE_TEXT, options=options) as authority:
        for seed in range(3):
            serial, scheme, algorithm, *_ = wait_until(lambda: digest_of(authority), 20, "a digest")
            assert (int(serial), scheme, algorithm) == (authority.serial(), "1", "1")
            path = master_file(authority, tmp_path)
            done = subprocess.run([verify, "-ZZ" if is_signed else "-Z", str(path)], capture_output=True, text=True)
            assert done.returncode == 0, done.stdout + done.stderr + path.read_text()[:3000]
            changed = path.read_text().replace("192.0.2.3", "192.0.2.33")
            (tmp_path / "changed").write_text(changed)
            assert subprocess.run([verify, "-Z", str(tmp_path / "changed")], capture_output=True).returncode != 0
            update_at_random(authority, 40, seed)
            # A digest of what was would say that what is is wrong.
            found = digest_of(authority)
            assert found is None or int(found[0]) == authority.serial()

"""The same path with mutua-authority itself instead of the small stand-in."""
# ctest: sanitized

import lab as laboratory

ZONE_FILE = """$ORIGIN fed.example.
$TTL 60
@ SOA ns host 1 3600 600 86400 5
@ NS ns
ns A 127.0.0.53
blog TXT "v=1" "manifest=sha256:00" "ports=80/tcp" "admission=open"
www CNAME blog
_80._tcp.blog SRV 0 0 8080 a.peers
_80._tcp.blog SRV 0 0 8080 b.peers
a.peers A 127.0.0.11
b.peers A 127.0.0.12
"""


def test_names_of_the_real_authority_are_found_and_others_relinquished(lab):
    (lab.folder / "zone").write_text(ZONE_FILE)
    (lab.folder / "authority.conf").write_text(
        f"zone = fed.example\ndatabase = {lab.folder}/database\nzone_file = {lab.folder}/zone\n"
        f"listen = {laboratory.AUTHORITY}:53\n")
    lab.start(laboratory.programs() / "mutua-authority", "--config", lab.folder / "authority.conf",
              errors=lab.folder / "authority.log")
    lab.start_resolver(lookaside="yes")
    for address in ("127.0.0.11", "127.0.0.12"):
        lab.peer("http", address)
    answers = [lab.curl("http://blog.fed.example/").stdout for _ in range(4)]
    assert sorted(answers[:2]) == ["127.0.0.11", "127.0.0.12"]
    assert set(answers) == {"127.0.0.11", "127.0.0.12"}
    assert lab.curl("http://www.fed.example/").stdout in answers, "through a CNAME"
    assert lab.lookup("www.fed.example")["canonical"] == "blog.fed.example"
    assert lab.lookup("nobody.fed.example") == {"host": "nobody.fed.example", "held": False}
    assert lab.lookup("www.example.org")["held"] is False, "refused, so real DNS has the word"
    assert lab.control(command="status")["result"]["failed_questions"] == 0

#!/usr/bin/python3
"""Compares every #include with the arrows of the house; prints the offenders.

A folder may include itself, the folders that its arrows name, and what those may include. Programs
never include each other. A library of others' is used in one place.
"""

import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent

# folder: the folders that it may use. A folder that is absent here takes its parent's line.
ARROWS = {
    "lib/base": [],
    "lib/wire": ["lib/base"],
    "lib/trust": ["lib/base"],
    "lib/dnssec": ["lib/wire", "lib/trust"],
    "lib/stub_client": ["lib/base", "lib/wire"],
    "lib/zone_transfer": ["lib/wire", "lib/trust"],
    "lib/upstream": ["lib/base"],
    "lib/control": ["lib/base"],
    "lib/local_protocol": [],

    "authority/zone": ["lib/base", "lib/wire"],
    "authority/query": ["authority/zone", "lib/dnssec"],
    "authority/access": ["authority/federation", "authority/store"],
    "authority/federation": ["authority/zone", "lib/trust"],
    "authority/update": ["authority/access"],
    "authority/store": ["authority/zone", "lib/trust"],
    "authority/dnssec": ["authority/zone", "lib/dnssec", "lib/upstream"],
    "authority/writer": ["authority/update", "authority/dnssec"],
    "authority/transfer": ["authority/access", "authority/dnssec", "lib/stub_client", "lib/zone_transfer"],
    "authority/tls": ["lib/base"],
    "authority/xdp": ["lib/base"],
    "authority/tap": ["lib/base"],
    "authority/server": ["authority/query", "authority/access", "authority/transfer",
                         "authority/tls", "authority/writer", "authority/xdp", "authority/tap",
                         "lib/upstream"],
    "authority/metrics": ["authority/server"],
    "authority": ["authority/metrics", "authority/server", "lib/control"],

    "resolver/event_loop": ["lib/base"],
    "resolver/health": ["lib/base"],
    "resolver/choice": ["resolver/health"],
    "resolver/validation": ["lib/dnssec"],
    "resolver/authorities": ["resolver/validation"],
    "resolver/discovery": ["resolver/choice", "resolver/authorities"],
    "resolver/mirror": ["resolver/validation", "lib/zone_transfer", "lib/stub_client"],
    "resolver/redirect": ["resolver/choice", "resolver/event_loop"],
    "resolver/service": ["resolver/discovery", "resolver/redirect"],
    "resolver/local_api": ["resolver/service", "resolver/mirror", "lib/local_protocol", "lib/control"],
    "resolver/name_list": ["lib/wire", "lib/stub_client", "lib/zone_transfer"],
    "resolver/kernel_redirect": ["resolver/redirect"],
    "resolver/install": ["lib/base"],
    "resolver": ["resolver/install", "resolver/local_api", "resolver/kernel_redirect", "resolver/name_list", "lib/upstream"],

    "nss_module": ["lib/local_protocol"],

    "peer/snapshot": ["lib/trust"],
    "peer/layers": ["lib/base", "lib/trust"],
    "peer/exchange": ["peer/layers", "peer/snapshot"],
    "peer/vm": ["peer/snapshot"],
    "peer/scrapbook": ["peer/layers", "peer/snapshot", "peer/vm"],
    "peer/ports": ["lib/base"],
    "peer/directory": ["lib/wire", "lib/trust", "lib/stub_client"],
    "peer/registration": ["peer/directory"],
    "peer/audit": ["peer/exchange", "peer/registration"],
    "peer/supervisor": ["peer/audit", "peer/ports", "peer/scrapbook", "lib/control"],
    "peer": ["peer/supervisor"],

    # The command also does by itself what needs no daemon: the operator's updates, nsswitch.conf.
    "cli": ["lib/control", "lib/stub_client", "lib/trust", "peer/registration", "resolver/install"],
}

# header: the only folders that may include it, beside the tests.
ONLY_IN = {
    r"ldns/": ["lib/wire"],
    r"openssl/": ["lib/trust", "authority/tls"],
    r"ares\.h": ["lib/upstream"],
    r"sqlite3\.h": ["authority/store"],
    r"(pqxx/|libpq-fe\.h)": ["authority/store"],
    r"slirp/": ["peer/ports"],
    r"bpf/": ["authority/xdp", "resolver/kernel_redirect"],
    r"xdp/xsk\.h": ["authority/xdp"],
    r"(fstrm|dnstap\.pb-c)\.h": ["authority/tap"],
    r"zstd\.h": ["peer/layers", "peer/snapshot"],
    r"g(test|mock)/": [],
}

INCLUDE = re.compile(r'^\s*#\s*include\s+(["<])([^">]+)[">]')


def sources():
    for top in sorted({folder.split("/")[0] for folder in ARROWS}):
        for path in sorted((ROOT / top).rglob("*")):
            if path.suffix in (".cc", ".h", ".c") and path.is_file():
                yield path.relative_to(ROOT)


def room_of(path):
    """The longest folder of ARROWS that holds the file; None for files of no room."""
    for folder in path.parents:
        if str(folder) in ARROWS:
            return str(folder)
    return None


def reachable(room, arrows, seen=None):
    seen = set() if seen is None else seen
    for target in arrows[room]:
        if target not in seen:
            seen.add(target)
            reachable(target, arrows, seen)
    return seen


def resolve(including, included):
    """The file of ours that the include means, or None."""
    for base in (pathlib.Path(), pathlib.Path("lib"), including.parent):
        if (ROOT / base / included).is_file():
            return base / included
    return None


def problems_of_table():
    for room in ARROWS:
        for target in ARROWS[room]:
            if target not in ARROWS:
                yield f"tests/layering.py: {room} points at {target}, which has no line"
    for room in ARROWS:
        if room in reachable(room, ARROWS):
            yield f"tests/layering.py: the arrows of {room} lead back to it"


def problems_of(path):
    room = room_of(path)
    if room is None:
        yield f"{path}: its folder has no line in tests/layering.py"
        return
    allowed = reachable(room, ARROWS)
    lines = (ROOT / path).read_text(encoding="utf-8").splitlines()
    for number, line in enumerate(lines, start=1):
        match = INCLUDE.match(line)
        if not match:
            continue
        included = match[2]
        for pattern, rooms in ONLY_IN.items():
            if re.match(pattern, included) and room not in rooms:
                yield f"{path}:{number}: {included} belongs to {', '.join(rooms) or 'the tests'}"
        target = resolve(path, included) if match[1] == '"' else None
        if target is None:
            if match[1] == '"':
                yield f"{path}:{number}: {included}: no such file from the include roots"
            continue
        target_room = room_of(target)
        if target_room != room and target_room not in allowed:
            yield f"{path}:{number}: {room} may not include {target}"


def main():
    problems = list(problems_of_table())
    count = 0
    if not problems:
        for path in sources():
            count += 1
            problems.extend(problems_of(path))
    for problem in problems:
        print(problem)
    if problems:
        sys.exit(1)
    print(f"layering: {count} files follow the arrows")


if __name__ == "__main__":
    main()

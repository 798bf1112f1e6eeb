"""resolver/choice against an oracle, in simulated worlds (choice_world.cc)."""
import json
import subprocess

import lab as laboratory

WORLDS = 200


def measure(folder, rounds, progress, compare, state):
    lines = []
    for peers in (4, 8, 16):
        first_visits = 0
        for sizes in ("told", "untold", "clairvoyant"):
            result = subprocess.run([laboratory.programs() / "bench_client", "choice", str(peers), str(WORLDS), sizes],
                                    capture_output=True, text=True, check=True, timeout=100)
            found = json.loads(result.stdout)
            median = found["median"]
            line = state(f"choice.{peers}_peers.sizes_{sizes}/oracle", f"time, median of {WORLDS} worlds", median)
            if sizes != "clairvoyant":  # which is a floor for those who are not told
                line |= {"ratio": median, "target": 1.25, "holds": median <= 1.25}
            lines.append(line)
            if sizes == "clairvoyant":
                lines.append(state(f"choice.{peers}_peers.least_untold/oracle", "a clairvoyant's who visits everybody once",
                                   round(median + first_visits, 4)))
            first_visits = found["first_visits"]
    return lines

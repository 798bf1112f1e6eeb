"""The demo's service: counts its visits in memory, and keeps each of them in SQLite."""

import http.server
import os
import sqlite3
import time

DATABASE = "/var/shop.sqlite"
# Half a megabyte, so that a visit says something about bandwidth.
ARTICLES = "".join(f"<tr><td>{number:05}<td>Article no. {number}, made to last<td>"
                   f"{number * 37 % 9973 / 100:.2f}\n" for number in range(10_000))


def page(visit, kept):
    with open("/proc/uptime", encoding="ascii") as file:
        uptime = float(file.read().split()[0])
    return f"""\
<!doctype html>
<html lang="en">
<title>The shop that does not close</title>
<h1>Open</h1>
<p>This page comes from a running machine that three strangers host at once.
<p id="state">visit {visit}, of which SQLite has {kept}; process {os.getpid()}; up {uptime:.1f} s
<table>
{ARTICLES}</table>
"""


class Shop(http.server.BaseHTTPRequestHandler):
    visits = 0

    def do_GET(self):
        Shop.visits += 1
        with database:
            database.execute("INSERT INTO visits VALUES (?)", (time.time(),))
        kept, = database.execute("SELECT count(*) FROM visits").fetchone()
        content = page(Shop.visits, kept).encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_):
        pass


database = sqlite3.connect(DATABASE)
with database:
    database.execute("CREATE TABLE IF NOT EXISTS visits (time REAL)")
http.server.HTTPServer(("", 80), Shop).serve_forever()

"""Counts visits in memory, while another thread never stops writing to SQLite and to memory."""

import http.server
import os
import sqlite3
import threading

ROWS = 500
ROW_BYTES = 4096
MEMORY_BYTES = 16 << 20


def write_without_end():
    """Rows come and go durably; the memory beside them is written from end to end, over and over."""
    database = sqlite3.connect("/var/load.sqlite")
    database.execute("CREATE TABLE IF NOT EXISTS load (number INTEGER PRIMARY KEY, content BLOB)")
    memory = bytearray(MEMORY_BYTES)
    number = 0
    while True:
        with database:
            database.execute("REPLACE INTO load VALUES (?, ?)",
                             (number % ROWS, os.urandom(ROW_BYTES)))
        at = number * ROW_BYTES % MEMORY_BYTES
        memory[at:at + ROW_BYTES] = os.urandom(ROW_BYTES)
        number += 1


class Visits(http.server.BaseHTTPRequestHandler):
    """Every page is the number of the visit."""

    count = 0

    def do_GET(self):
        Visits.count += 1
        page = f"{Visits.count}\n".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(page)))
        self.end_headers()
        self.wfile.write(page)

    def log_message(self, *_):
        pass


threading.Thread(target=write_without_end, daemon=True).start()
http.server.HTTPServer(("", 80), Visits).serve_forever()

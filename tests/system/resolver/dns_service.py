"""Answers DNS by UDP and TCP, one message after the other; never returns."""
import socket
import struct
import threading


def _serve_tcp(address, port, answer):
    listener = socket.create_server((address, port))
    while True:
        connection, _ = listener.accept()
        with connection:
            connection.settimeout(5)
            try:
                length = struct.unpack("!H", connection.recv(2, socket.MSG_WAITALL))[0]
                reply = answer(connection.recv(length, socket.MSG_WAITALL))
                if reply:
                    connection.sendall(struct.pack("!H", len(reply)) + reply)
            except (OSError, struct.error):
                pass


def serve(address, port, answer, fitted=lambda question, reply: reply):
    """`answer` makes a reply of a question, or nothing to be silent; `fitted` what of it goes by UDP. Prints "ready"."""
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    udp.bind((address, port))
    threading.Thread(target=_serve_tcp, args=(address, port, answer), daemon=True).start()
    print("ready", flush=True)
    while True:
        question, client = udp.recvfrom(65535)
        reply = answer(question)
        if reply:
            udp.sendto(fitted(question, reply), client)

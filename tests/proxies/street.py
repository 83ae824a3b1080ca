"""The street: an upstream that records what reaches it, byte for byte, and callers that say what no polite client says."""

import base64
import hashlib
import queue
import socket
import threading

PATIENCE = 20
GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


class Wire:
    """One connection."""

    def __init__(self, peer):
        self.socket = peer if isinstance(peer, socket.socket) else socket.create_connection(("127.0.0.1", peer), PATIENCE)
        self.socket.settimeout(PATIENCE)
        self.unread = b""

    def send(self, data):
        """Sends bytes as they are; the peer may be gone."""
        try:
            self.socket.sendall(data.encode() if isinstance(data, str) else data)
        except OSError:
            pass
        return self

    def head(self):
        """The first line and the fields of the next message; nothing where there is none."""
        lines = self.until(b"\r\n\r\n").decode("latin-1").split("\r\n")
        fields = [line.split(":", 1) for line in lines[1:] if line]
        return lines[0], [(name.lower(), value.strip()) for name, value in fields]

    def body(self, fields, to_the_end=False):
        """The body that a head announces, piece by piece."""
        said = dict(fields)
        if "chunked" in said.get("transfer-encoding", ""):
            while size := int(self.until(b"\r\n").split(b";")[0], 16):
                yield self.take(size)
                self.until(b"\r\n")
            self.until(b"\r\n")
        elif "content-length" in said:
            yield self.take(int(said["content-length"]))
        elif to_the_end:
            while self.fill():
                pass
            yield self.unread

    def until(self, end):
        """Everything up to the end of these bytes."""
        while end not in self.unread:
            if not self.fill():
                raise EOFError(self.unread)
        at = self.unread.index(end) + len(end)
        taken, self.unread = self.unread[:at], self.unread[at:]
        return taken

    def take(self, count):
        """Exactly so many bytes."""
        while len(self.unread) < count:
            if not self.fill():
                raise EOFError(self.unread)
        taken, self.unread = self.unread[:count], self.unread[count:]
        return taken

    def fill(self):
        """Reads more, if there is more."""
        try:
            more = self.socket.recv(65536)
        except ConnectionError:
            return False
        self.unread += more
        return bool(more)

    def close(self):
        """Ends it."""
        self.socket.close()


class Answer:
    """What a caller got."""

    def __init__(self, line, fields, body):
        self.status = int(line.split(" ")[1])
        self.fields, self.body = fields, body

    def field(self, name):
        """The one value of a field."""
        values = [value for own, value in self.fields if own == name]
        assert len(values) <= 1, (name, self.fields)
        return values[0] if values else None

    def __repr__(self):
        return f"{self.status} {self.fields} {self.body!r}"


def ask(port, line, *fields, host="api.example", body=""):
    """One request on a connection of its own, closed by the proxy or after the answer."""
    wire = Wire(port)
    try:
        head = "".join(f"{field}\r\n" for field in (f"Host: {host}", *fields))
        wire.send(f"{line} HTTP/1.1\r\n{head}\r\n{body}".encode("latin-1"))
        first, answered = wire.head()
        while first.split(" ")[1].startswith("1"):
            first, answered = wire.head()
        whole = b"" if line.startswith("HEAD ") else b"".join(wire.body(answered, to_the_end=True))
        return Answer(first, answered, whole)
    finally:
        wire.close()


class Upstream:
    """Answers every request, and remembers what it was asked."""

    def __init__(self):
        self._door = socket.create_server(("127.0.0.1", 0))
        self.port = self._door.getsockname()[1]
        self.seen = queue.SimpleQueue()
        self.pieces = queue.SimpleQueue()
        self.go_on = threading.Event()
        threading.Thread(target=self._serve, daemon=True).start()

    def take(self):
        """The requests since the last time, as (method, target, fields)."""
        seen = []
        while not self.seen.empty():
            seen.append(self.seen.get())
        return seen

    def _serve(self):
        while True:
            wire = Wire(self._door.accept()[0])
            wire.socket.settimeout(None)
            threading.Thread(target=self._converse, args=(wire,), daemon=True).start()

    def _converse(self, wire):
        try:
            while True:
                line, fields = wire.head()
                method, target, _ = line.split(" ")
                self.seen.put((method, target, fields))
                if dict(fields).get("upgrade", "").lower() == "websocket":
                    return self._switch(wire, dict(fields))
                length = 0
                for piece in wire.body(fields):
                    length += len(piece)
                    self.pieces.put(len(piece))
                if target.startswith("/api/stream"):
                    wire.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n")
                    self.go_on.wait(PATIENCE)
                    wire.send("6\r\nsecond\r\n0\r\n\r\n")
                else:
                    text = "" if method == "HEAD" else f"upstream-ok {length}"
                    wire.send(f"HTTP/1.1 200 OK\r\nContent-Length: {len(text)}\r\n\r\n{text}")
        except (EOFError, OSError, ValueError):
            wire.close()

    @staticmethod
    def _switch(wire, said):
        accept = base64.b64encode(hashlib.sha1(said["sec-websocket-key"].encode() + GUID).digest()).decode()
        wire.send(f"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: {accept}\r\n\r\n")
        while wire.unread or wire.fill():
            wire.send(wire.unread)
            wire.unread = b""
        wire.close()

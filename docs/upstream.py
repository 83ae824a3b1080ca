#!/usr/bin/env python3
"""An API to try vidgate with: answers every request with what it got of it.

    python3 docs/upstream.py [PORT]     default: 8000, on this machine alone
"""

import http.server
import sys


class Answer(http.server.BaseHTTPRequestHandler):
    """The request's first line, the credential if it came along, and what vidgate says of the caller."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        shown = [f"{self.command} {self.path}"]
        for name, value in self.headers.items():
            if name.lower() in ("authorization", "api_key") or name.lower().startswith("x-vidgate-"):
                shown.append(f"{name.lower()}: {value}")
        body = "".join(f"{line}\n" for line in shown).encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = do_GET

    def log_message(self, *_):
        """Says nothing."""


if __name__ == "__main__":
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 8000
    http.server.ThreadingHTTPServer(("127.0.0.1", port), Answer).serve_forever()

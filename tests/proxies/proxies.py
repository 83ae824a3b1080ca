"""nginx, Caddy, Traefik and Envoy, each with its recipe, ask a running vidgate: `run` installs them and starts this."""

import json
import pathlib
import re
import signal
import sys
import tempfile
import time
import traceback

from house import KEY, PROXIES, Proxy, Vidgate
from street import Upstream, Wire, ask

STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
WITH_KEY = f"Authorization: {KEY}"
# What a program behind CGI, or one on Windows, would take for one of ours.
IDENTITY = re.compile("^x.vidgate", re.IGNORECASE)


def who_may_pass_does_so_as_themselves(proxy):
    answer = ask(proxy.port, "GET /api/cameras?a=%2F&b", WITH_KEY)
    assert (answer.status, answer.body) == (200, b"upstream-ok 0"), answer
    ((method, target, fields),) = proxy.upstream.take()
    assert (method, target) == ("GET", "/api/cameras?a=%2F&b")
    expected = {"x-vidgate-subject": "license_key:acme-main", "x-vidgate-account": "acme", "x-vidgate-scheme": "lkey"}
    assert identity(fields) == expected, fields
    assert "authorization" not in dict(fields), fields


def nobody_says_themselves_who_they_are(proxy):
    """In any spelling: it is taken out, or the request is refused."""
    for field in ("Subject: root", "account: root", "scopes: root", "Email: root@example.com", "SCHEME: root"):
        for name in ("X-Vidgate-", "x-vidgate-", "X_Vidgate_", "X-Vidgate_", "X.VIDGATE."):
            for target, fields, known in (("/status", (), set()), ("/api/a", (WITH_KEY,), {"x-vidgate-account"})):
                answer = ask(proxy.port, f"GET {target}", *fields, name + field)
                seen = proxy.upstream.take()
                assert answer.status == (200 if seen else 400), answer
                for _, _, fields in seen:
                    assert set(identity(fields)) == {"x-vidgate-subject", "x-vidgate-scheme", *known}, fields
                    assert "root" not in str(fields), fields


def a_caller_cannot_take_the_proxys_word_away(proxy):
    answer = ask(proxy.port, "GET /api/a", WITH_KEY, "Connection: X-Vidgate-Account, X-Vidgate-Subject, X-Forwarded-For, X-Forwarded-Uri, X-Original-URI")
    if answer.status != 200:
        return unreached(proxy, answer)
    ((_, _, fields),) = proxy.upstream.take()
    assert identity(fields).get("x-vidgate-account") == "acme", fields


def a_wrong_credential_is_refused_in_the_words_of_the_route(proxy):
    for fields in ((), ("Authorization: LKey v3.another-key",)):
        answer = ask(proxy.port, "GET /api/cameras", *fields)
        worded(answer, 401, "Please present a valid credential.")
        assert answer.field("www-authenticate") == "LKey", answer
        assert proxy.upstream.take() == []
    # Nor do two credentials make one.
    unreached(proxy, ask(proxy.port, "GET /api/cameras", WITH_KEY, "Authorization: LKey v3.another-key"))


def every_refusal_has_its_own_status(proxy):
    answer = ask(proxy.port, "DELETE /status")
    worded(answer, 405, "This method cannot be used here.")
    assert answer.field("allow") == "GET, HEAD", answer
    worded(ask(proxy.port, "GET /nothing", WITH_KEY), 404, "There is nothing at this address.")
    worded(ask(proxy.port, "GET /office/a", WITH_KEY), 403, "This is not permitted from your address.")
    worded(ask(proxy.port, "GET /api/a;b", WITH_KEY), 400, "The request could not be understood.")
    assert proxy.upstream.take() == []


def a_limit_says_when_to_come_back(proxy):
    assert [ask(proxy.port, "GET /few/a", WITH_KEY).status for _ in range(2)] == [200, 200]
    answer = ask(proxy.port, "GET /few/a", WITH_KEY)
    worded(answer, 429, "Too many requests. Please slow down.")
    assert 1 <= int(answer.field("retry-after")) <= 60 and answer.field("ratelimit") and answer.field("ratelimit-policy"), answer
    assert len(proxy.upstream.take()) == 2


def nobody_can_speak_for_the_proxy(proxy):
    for target in ("/api/a", "/office/a"):
        for fields in (
            ("X-Forwarded-Uri: /status", "X-Forwarded-Method: GET", "X-Forwarded-Host: api.example"),
            ("X-Original-URI: /status", "X-Original-Method: GET", "X-Original-URL: http://api.example/status"),
            ("X_Forwarded_Uri: /status", "X_Original_URI: /status"),
            ("X-Forwarded-For: 198.51.100.1", "X-Real-IP: 198.51.100.1", "Forwarded: for=198.51.100.1"),
            ("X-Forwarded-For: 198.51.100.1", "X-Forwarded-For: 198.51.100.2", "X-Envoy-External-Address: 198.51.100.1"),
            ("X-Envoy-Original-Path: /status", "X-Rewrite-Url: /status", "X-HTTP-Method-Override: GET"),
            ("X-Vidgate-Target: /status", "X-Vidgate-Status: 200", "X-Envoy-Auth-Headers-To-Remove: host"),
            ("User-Agent: kube-probe/1.30", "User-Agent: GoogleHC/1.0"),
        ):
            unreached(proxy, ask(proxy.port, f"GET {target}", *fields))


def what_was_decided_is_what_is_sent(proxy):
    """Without a credential nothing but `/status` may reach the upstream, and with one nothing that is not below `/api/`."""
    tricks = [
        *("/status/../api/a", "/status/%2e%2e/api/a", "/status/%2E./api/a", "/status%2f..%2fapi/a", "/status%2F..%2Fapi/a"),
        *("//api/a", "///api/a", "/./api/a", "/api//a", "/api/./a", "/status//../api/a", "//status/../api/a"),
        *("/status%252f..%252fapi/a", "/status/%252e%252e/api/a", "/%61pi/a", "/%2561pi/a", "/api%2fa", "/api%5ca"),
        *("/status;/../api/a", "/status/..;/api/a", "/api;/a", "/api/a;b=c", "/status;a=b", "/status%3b/../api/a"),
        *("/status\\..\\api\\a", "/status/..\\api/a", "/status%5c..%5capi", "/api\\a", "\\api\\a"),
        *("/status#/../api/a", "/status%23/../api/a", "/status?/../../api/a", "/status%3f/../api/a", "/api/a#/../../status"),
        *("/status%00/../api/a", "/api/a%00", "/status%0a/../api/a", "/api/%c0%ae%c0%ae/a", "/api/\xe9", "/api/%e9"),
        *("/api/..", "/api/../status", "/api/a/../../status", "/api/%2e%2e/status", "/api/.%2e/secret", "/api/..%20/secret", "/api/...%20/a"),
        *("/api/a/../b", "/api/%7Ea", "/api/%c3%a9", "/api/%C3%A9", "/api/a%20b", "/api/[a]", "/api/a|b", "/api/{a}", "/api/%zz", "/api/%"),
        *("/STATUS", "/Status", "/status/", "/status/.", "/status/..", "/statu%73", "/status%20", "/status%", "/status?a=%2e%2e/../b", "/status??"),
        *("http://api.example/api/a", "http://other.example/status", "http://api.example/status/../api/a", "http://api.example//api/a", "https:/api/a", "*", "api/a", "?/api/a"),
    ]
    for target in tricks:
        for fields in ((), (WITH_KEY,)):
            answer = try_to_ask(proxy, f"GET {target}", *fields)
            for _, sent, _ in proxy.upstream.take():
                path = sent.partition("?")[0]
                kept = re.fullmatch(r"/api/(?!\.\.?(/|$))[^/%;\\#.]?([a-z~|{}\[\]]|%C3%A9|%20|%7C|%7B|%7D)*", path) if fields else None
                assert path == "/status" or kept, f"{target} {fields} became {sent}: {answer}"


def a_host_cannot_hide_a_path(proxy):
    for host in ("api?x=", "api#", "api/status?", "status/../", "api.example, status", "@status", "api%2f", ""):
        for target in ("/api/a", "/office/a"):
            answer = try_to_ask(proxy, f"GET {target}", host=host)
            assert proxy.upstream.take() == [], f"{host} {target}: {answer}"


def the_host_that_was_decided_is_what_is_sent(proxy):
    assert ask(proxy.port, "GET /inside/a", host="inside.example").status == 200
    ((_, _, fields),) = proxy.upstream.take()
    assert dict(fields)["host"] == "inside.example", fields
    unreached(proxy, ask(proxy.port, "GET /inside/a"))
    for line, host in (("GET http://inside.example/inside/a", "api.example"), ("GET http://api.example/inside/a", "inside.example")):
        answer = try_to_ask(proxy, line, "X-Forwarded-Host: inside.example", host=host)
        for _, _, fields in proxy.upstream.take():
            assert dict(fields)["host"] == "inside.example", f"{line} {host}: {answer}"


def the_way_to_the_decision_is_the_proxys_alone(proxy):
    for target in ("/_vidgate", "/_vidgate/", "//_vidgate", "/@refused"):
        answer = try_to_ask(proxy, f"GET {target}", WITH_KEY, "X-Original-Method: GET", "X-Original-URI: /status")
        assert answer is None or answer.status >= 400, answer
        assert answer is None or answer.field("x-vidgate-subject") is None, answer
        assert proxy.upstream.take() == [], answer


def methods_are_told_apart(proxy):
    answer = ask(proxy.port, "HEAD /api/a", WITH_KEY)
    assert answer.status == 200 and proxy.upstream.take()[0][0] == "HEAD", answer
    assert ask(proxy.port, "HEAD /api/a").status == 401
    for method in ("POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT", "get"):
        unreached(proxy, try_to_ask(proxy, f"{method} /status"))


def a_body_goes_by_untouched(proxy):
    sent = 0
    wire = Wire(proxy.port).send(f"POST /api/upload HTTP/1.1\r\nHost: api.example\r\n{WITH_KEY}\r\nTransfer-Encoding: chunked\r\n\r\n")
    while not proxy.upstream.pieces.empty():
        proxy.upstream.pieces.get()
    for _ in range(16):
        wire.send(b"10000\r\n" + b"x" * 65536 + b"\r\n")
        sent += 65536
        # The upstream has it before the rest is sent.
        while sent:
            sent -= proxy.upstream.pieces.get(timeout=20)
    line, fields = wire.send("0\r\n\r\n").head()
    assert " 200 " in line and b"".join(wire.body(fields)) == b"upstream-ok 1048576", (line, fields)
    wire.close()
    # And one that is refused goes nowhere.
    proxy.upstream.take()
    unreached(proxy, try_to_ask(proxy, "POST /api/upload", "Content-Length: 5", body="hello"))


def an_answer_comes_while_it_is_made(proxy):
    proxy.upstream.go_on.clear()
    wire = Wire(proxy.port).send(f"GET /api/stream HTTP/1.1\r\nHost: api.example\r\n{WITH_KEY}\r\n\r\n")
    line, fields = wire.head()
    pieces = wire.body(fields, to_the_end=True)
    assert " 200 " in line and next(pieces) == b"first", line
    proxy.upstream.go_on.set()
    assert b"".join(pieces) == b"second"
    wire.close()


def websocket_passes_once_it_was_decided(proxy):
    fields = ("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==")
    unreached(proxy, ask(proxy.port, "GET /api/live", *fields))
    head = "".join(f"{field}\r\n" for field in (*fields, WITH_KEY))
    wire = Wire(proxy.port).send(f"GET /api/live HTTP/1.1\r\nHost: api.example\r\n{head}\r\n")
    line, answered = wire.head()
    assert " 101 " in line and dict(answered)["sec-websocket-accept"] == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", (line, answered)
    frame = b"\x81\x85\x01\x02\x03\x04" + bytes(byte ^ key for byte, key in zip(b"hello", b"\x01\x02\x03\x04\x01"))
    assert wire.send(frame).take(len(frame)) == frame
    wire.close()
    ((_, target, seen),) = proxy.upstream.take()
    assert target == "/api/live" and identity(seen)["x-vidgate-account"] == "acme", seen


def identity(fields):
    """What the upstream was told of the caller, in whatever spelling, each once."""
    told = [(name, value) for name, value in fields if IDENTITY.match(name)]
    assert len(dict(told)) == len(told), fields
    return dict(told)


def worded(answer, status, sentence):
    """The refusal is the one that vidgate words (RFC 9457)."""
    assert (answer.status, answer.field("content-type")) == (status, "application/problem+json"), answer
    problem = json.loads(answer.body)
    assert (problem["status"], problem["detail"]) == (status, sentence), answer
    assert problem["request_id"] == answer.field("x-request-id"), answer
    assert answer.field("cache-control") == "no-store", answer


def unreached(proxy, answer):
    """It was refused, and the upstream has not heard of it."""
    assert answer is None or answer.status >= 400, answer
    assert (seen := proxy.upstream.take()) == [], (answer, seen)


def try_to_ask(proxy, line, *fields, **more):
    """The same as `ask`, of a proxy that may close without an answer."""
    try:
        return ask(proxy.port, line, *fields, **more)
    except (EOFError, ConnectionError):
        return None


TESTS = [
    who_may_pass_does_so_as_themselves,
    nobody_says_themselves_who_they_are,
    a_caller_cannot_take_the_proxys_word_away,
    a_wrong_credential_is_refused_in_the_words_of_the_route,
    every_refusal_has_its_own_status,
    a_limit_says_when_to_come_back,
    nobody_can_speak_for_the_proxy,
    what_was_decided_is_what_is_sent,
    a_host_cannot_hide_a_path,
    the_host_that_was_decided_is_what_is_sent,
    the_way_to_the_decision_is_the_proxys_alone,
    methods_are_told_apart,
    a_body_goes_by_untouched,
    an_answer_comes_while_it_is_made,
    websocket_passes_once_it_was_decided,
]


def without_vidgate_nobody_passes(proxy):
    """The last test: vidgate is gone."""
    for fields in ((), (WITH_KEY,)):
        for target in ("/status", "/api/a"):
            answer = ask(proxy.port, f"GET {target}", *fields)
            assert answer.status >= 500, answer
    assert proxy.upstream.take() == []


def attempt(test, proxy):
    """One test; whether it held."""
    proxy.upstream.take()
    begun = time.monotonic()
    try:
        test(proxy)
        print(f"ok      {proxy.name}: {test.__name__}", flush=True)
        return True
    except Exception:
        print(f"FAILED  {proxy.name}: {test.__name__} after {time.monotonic() - begun:.1f} s\n{traceback.format_exc()}", flush=True)
        return False


def walk(name, binary, folder):
    """Every test with one proxy: how many held of how many."""
    folder.mkdir()
    vidgate = Vidgate(binary, folder)
    try:
        proxy = Proxy(name, vidgate, Upstream(), folder)
        try:
            held = [attempt(test, proxy) for test in TESTS]
            vidgate.end()
            held.append(attempt(without_vidgate_nobody_passes, proxy))
            if not all(held):
                print(f"the end of what {name} said:\n{proxy.said()[-4000:]}", flush=True)
        finally:
            proxy.end()
    finally:
        vidgate.end()
    return sum(held), len(held)


def main():
    """Runs every test with every proxy, or with those that are named."""
    # Every polite way of ending this goes through the clean-up.
    for number in STOPPING:
        signal.signal(number, lambda number, _: sys.exit(128 + number))
    binary, names = str(pathlib.Path(sys.argv[1]).resolve()), sys.argv[2:] or list(PROXIES)
    with tempfile.TemporaryDirectory(prefix="vidgate-proxies-") as folder:
        results = [walk(name, binary, pathlib.Path(folder) / name) for name in names]
    passed, all_of_them = (sum(column) for column in zip(*results))
    print(f"proxies: {passed} passed, {all_of_them - passed} failed")
    return 0 if passed == all_of_them else 1


if __name__ == "__main__":
    sys.exit(main())

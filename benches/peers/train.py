"""What a release is trained on: all that the columns of ours do, each for a moment, over TLS and HTTP/2 as well, and what
they refuse. Nothing is measured."""

import load

# Of each kind of request that is refused.
REFUSED = 300
SECONDS = 2


def train(bench, peer, asked, refusals):
    """Has a column's program do what it is there for, and end in peace: that is when it writes down what it did."""
    bench.start(peer)
    wrk, port, core = bench.programs.path("wrk"), bench.ports[peer.name], bench.cores.load
    target, header = asked(bench, peer)
    if "tls" in peer.options:
        _, version = peer.options["tls"]
        load.shake_hands(bench.programs.path("openssl"), core, port, version, 8, SECONDS)
        load.wrk(wrk, core, port, target, header, 64, SECONDS, "https")
        load.streams(bench.programs.path("h2load"), core, port, target)
    else:
        load.wrk(wrk, core, port, target, header, 64, SECONDS)
        for (wrong, credential), expected in refusals(bench, peer):
            for _ in range(REFUSED):
                status, _ = load.ask(port, wrong, credential)
                if status != expected:
                    raise load.Disturbed(f"{peer.name} answered {status} instead of {expected}")
        if "stream" in peer.modes:
            load.wrk(wrk, core, port, "/large", header, 8, SECONDS)
    bench.end(peer.name)

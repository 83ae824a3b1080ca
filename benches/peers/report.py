"""What the rounds say, as markdown tables ready for BENCHMARKS.md."""

import statistics
import time

IDLE_LIMIT = 32
STREAM_LIMIT = 256
SATURATED = 0.8


def median(rounds, name, field):
    """The median of one figure of one column over its rounds."""
    return statistics.median(one[name][field] for one in rounds if name in one)


def ratio(rounds, ours, theirs, field):
    """The median over rounds of the per-round ratio; None where one of the two is missing."""
    pairs = [one[ours][field] / one[theirs][field] for one in rounds if ours in one and theirs in one and one[theirs][field]]
    return statistics.median(pairs) if pairs else None


def table(heads, rows):
    """A markdown table; all columns but the first are figures."""
    print("| " + " | ".join(heads) + " |")
    print("|---" + "|---:" * (len(heads) - 1) + "|")
    for row in rows:
        print("| " + " | ".join(row) + " |")
    print()


def head(title, facts, cores, versions, arguments, rounds):
    """Machine, programs and manner of the run."""
    print(f"## {title}, {time.strftime('%Y-%m-%d', time.gmtime())}\n")
    print(f"* Machine: {facts['cores']} cores ({facts['processor']}), {facts['memory']}, {facts['kernel']}, {facts['system']}; proxy on core", end=" ")
    print(f"{cores.proxy}, wrk on core {cores.load}, upstream on core {cores.upstream}; siblings of core 0: {facts['siblings']}.")
    print("* Programs: " + ", ".join(f"{name} {version}" for name, version in versions.items()) + ".")
    print(f"* Rounds: {rounds}, interleaved; {arguments}\n")


def absences(absent):
    """What was not measured and why."""
    for name, reason in absent.items():
        print(f"* `{name}` is absent: {reason}")
    if absent:
        print()


def relay(rounds, columns, targets):
    """CPU a request, requests a second, p99, and the ratios with their targets."""
    rows = []
    for peer in _measured(rounds, columns):
        figures = {field: median(rounds, peer.name, field) for field in ("cpu", "rate", "p99", "busy")}
        spread = [one[peer.name]["cpu"] for one in rounds if peer.name in one]
        rows.append([
            f"{peer.name} ({peer.what})",
            f"{figures['cpu']:.2f}",
            f"{min(spread):.2f}-{max(spread):.2f}",
            f"{figures['rate']:,.0f}",
            f"{figures['p99'] / 1000:.2f}",
            f"{figures['busy']:.0%}",
        ])
    table(["proxy", "CPU us a request", "over rounds", "requests/s", "p99 ms", "core busy"], rows)
    _caution(rounds, columns)
    _ratios(rounds, columns, "cpu", targets)


def stream(rounds, columns, stalled):
    """CPU a GiB, throughput, and the memory that streams take."""
    rows = []
    for peer in _measured(rounds, columns):
        figures = {field: median(rounds, peer.name, field) for field in ("cpu", "rate", "busy")}
        grown = {field: max(one[peer.name][field] for one in rounds if peer.name in one) for field in ("flowing", "stalled", "peak")}
        rows.append([
            f"{peer.name} ({peer.what})",
            f"{figures['cpu']:.0f}",
            f"{figures['rate']:.2f}",
            f"{figures['busy']:.0%}",
            f"{grown['peak'] / 1024:.1f}",
            f"{grown['flowing']:.0f}",
            f"{grown['stalled']:.0f}" + (_verdict(max(grown["flowing"], grown["stalled"]), STREAM_LIMIT) if peer.ours() else ""),
        ])
    stall = f"KiB a stream, {stalled} stalled (at most {STREAM_LIMIT})"
    table(["proxy", "CPU ms a GiB", "GiB/s", "core busy", "peak MiB", "KiB a stream, flowing", stall], rows)
    _caution(rounds, columns)
    names = [peer.name for peer in columns if peer.ours()]
    _ratios(rounds, columns, "cpu", [(name, "nginx", 1.0) for name in names])


def handshakes(rounds, columns, target):
    """CPU of a handshake, how many a core makes in a second, and ours against theirs of the same certificate and version."""
    rows, names = [], [peer.name for peer in _measured(rounds, columns)]
    for peer in _measured(rounds, columns):
        figures = {field: median(rounds, peer.name, field) for field in ("cpu", "rate", "busy")}
        spread = [one[peer.name]["cpu"] for one in rounds if peer.name in one]
        theirs = peer.name.replace("vidgate-", "nginx-")
        told = "-"
        if peer.ours() and theirs in names:
            value = ratio(rounds, peer.name, theirs, "cpu")
            told = f"{value:.2f}{_verdict(value, target)}"
        rows.append([
            f"{peer.name} ({peer.what})",
            f"{figures['cpu']:.0f}",
            f"{min(spread):.0f}-{max(spread):.0f}",
            f"{1e6 / figures['cpu']:,.0f}",
            f"{figures['rate']:,.0f}",
            f"{figures['busy']:.0%}",
            told,
        ])
    table(["proxy", "CPU us a handshake", "over rounds", "a second of its core", "made a second", "core busy", "CPU: ours / nginx"], rows)
    _caution(rounds, columns)


def idle(rounds, columns):
    """Memory that an idle connection holds."""
    rows = []
    for peer in _measured(rounds, columns):
        figures = {field: median(rounds, peer.name, field) for field in ("before", "rss", "pss")}
        rows.append([
            f"{peer.name} ({peer.what})",
            f"{figures['before'] / 1024:.1f}",
            f"{figures['rss']:.1f}",
            f"{figures['pss']:.1f}" + (_verdict(max(figures["rss"], figures["pss"]), IDLE_LIMIT) if peer.ours() else ""),
        ])
    table(["proxy", "RSS before, MiB", "RSS KiB a connection", f"PSS KiB a connection (at most {IDLE_LIMIT})"], rows)


def _caution(rounds, columns):
    """Cheaper by the request is whoever is busier: columns that did not fill their core are not comparable."""
    slack = [peer.name for peer in _measured(rounds, columns) if median(rounds, peer.name, "busy") < SATURATED]
    if slack:
        print(f"Not saturated (core busy under {SATURATED:.0%}; something else ran, or the load was too small): {', '.join(slack)}.\n")


def _measured(rounds, columns):
    return [peer for peer in columns if any(peer.name in one for one in rounds)]


def _ratios(rounds, columns, field, targets):
    limits = {(ours, theirs): limit for ours, theirs, limit in targets}
    measured = _measured(rounds, columns)
    bases = {theirs for _, theirs, _ in targets}
    peers = [peer for peer in measured if not peer.ours() or peer.name in bases]
    ours = [peer for peer in measured if peer.ours()]
    if not ours or not peers:
        return
    rows = []
    for peer in peers:
        row = [peer.name]
        for mine in ours:
            value = None if mine is peer else ratio(rounds, mine.name, peer.name, field)
            limit = limits.get((mine.name, peer.name))
            row.append("-" if value is None else f"{value:.2f}" + (_verdict(value, limit) if limit else ""))
        rows.append(row)
    table(["CPU: ours / theirs", *(mine.name for mine in ours)], rows)


def _verdict(value, limit):
    return f" (target {limit:g}: {'met' if value <= limit else 'MISSED'})"


def counts(done):
    """What a request takes of each column."""
    print("| proxy | allocations | of our own code | system calls | which |")
    print("|---|---:|---:|---:|---|")
    for peer, allocated, own, called in done:
        which = ", ".join(f"{name} {times:.2f}" for name, times in sorted(called.items(), key=lambda pair: -pair[1]) if times >= 0.01)
        told = f"{allocated:.1f} | {own:.1f}" if peer.ours() else "- | -"
        print(f"| {peer.name} ({peer.what}) | {told} | {sum(called.values()):.2f} | {which} |")

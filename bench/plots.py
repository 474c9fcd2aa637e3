# SPDX-License-Identifier: BSD-2-Clause
"""plots - what plots.gnuplot draws: blocks of columns, each with a name as its head"""

# steps of a distribution
STEPS = 200


def block(name, rows):
    """gnuplot knows it by this name; two empty lines part it from the next."""
    lines = [f'"{name}"', *("\t".join(f"{field:.6g}" for field in row) for row in rows)]
    return "\n".join(lines) + "\n\n\n"


def medians(report, figure, filesystem):
    """The peers' spreads, the cheapest first."""
    found = [
        (key.peer, spread)
        for key, spread in report.spreads.items()
        if key.figure == figure and key.filesystem == filesystem
    ]
    return sorted(found, key=lambda pair: pair[1].median)


def first_filesystem(report):
    return report.filesystems[0]


def three(spread):
    """In us; the samples are in ns."""
    if spread is None:
        return ["NaN"] * 3
    quartiles = spread.median, spread.lower_quartile, spread.upper_quartile
    return [f"{number / 1000:.6g}" for number in quartiles]


def cycle(report):
    """Median and quartiles on each of two file systems: a row a peer."""
    columns = [dict(medians(report, "cycle", name)) for name in report.filesystems[:2]]
    rows = [
        [f'"{peer}"', *sum((three(column.get(peer)) for column in columns), [])]
        for peer in columns[0]
        if peer != "floor"
    ]
    return "\n".join("\t".join(row) for row in rows) + "\n"


def floors(report):
    columns = [dict(medians(report, "cycle", name)) for name in report.filesystems[:2]]
    return " ".join(three(column["floor"])[0] for column in columns if "floor" in column) + "\n"


def waiters(report):
    """Number of waiters and median with quartiles, in us: a block a peer."""
    filesystem, blocks = first_filesystem(report), []
    for peer in report.peers:
        rows = [
            (int(key.parameter), spread.median, spread.lower_quartile, spread.upper_quartile)
            for key, spread in report.spreads.items()
            if key[:3] == ("contention", filesystem, peer)
        ]
        if rows:
            blocks.append(block(peer, sorted(rows)))
    return "".join(blocks)


def distribution(values):
    """(us, share of all that took no longer), in so many steps at most."""
    values, count = sorted(values), len(values)
    picked = {round(i * (count - 1) / STEPS) for i in range(STEPS + 1)}
    return [(values[i], (i + 1) / count) for i in sorted(picked)]


def latency(report):
    """Time of a hand-off, in us, and share of those that took no longer: a block a peer."""
    filesystem, blocks = first_filesystem(report), []
    for parameter in report.parameters("handoff")[:1]:
        for peer in report.peers:
            values = report.samples.get(report.key("handoff", filesystem, peer, parameter))
            if values:
                blocks.append(block(peer, distribution(values)))
    return "".join(blocks)


def machine(report):
    about = report.machine()
    words = [about.get(name) for name in ("processor", "kernel", "date")]
    return ", ".join(filter(None, words)) + "\n"


def data(report):
    return {
        "cycle.dat": cycle(report),
        "floors": floors(report),
        "waiters.dat": waiters(report),
        "latency.dat": latency(report),
        "filesystems": "\n".join(report.filesystems[:2]) + "\n",
        "machine": machine(report),
    }

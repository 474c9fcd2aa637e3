#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""report - medians, quartiles and ratios of what the benchmarks measured

    report.py [-d DIRECTORY] [-o DIRECTORY] FILE...

FILEs have samples (samples.py).  In the directory of -o, or the current one, this
makes bench.json and bench.txt, and puts the tables into bench.md, if that is there,
between its two marks.  In the directory of -d it makes what plots.gnuplot draws.

Ratios are those of medians of one run, on the same file system and with the same
parameter: what else ran on the machine ran beside all of them.
"""

import argparse
import json
import os
import statistics
import sys
from collections import namedtuple

sys.dont_write_bytecode = True

import plots  # noqa: E402
import tables  # noqa: E402
from samples import Key, Refused, Samples, rounds_of  # noqa: E402

Spread = namedtuple("Spread", "n least lower_quartile median upper_quartile most")

PEERS = (
    "lockfile-pid",
    "liblockfile",
    "libbsd pidfile",
    "libdaemon",
    "flock(2)",
    "OFD lock",
    "lockfile-pid run",
    "lockfile-pid run -F",
    "dotlockfile",
    "lockfile-create",
    "procmail lockfile",
    "flock(1)",
    "flock(1) -F",
    "python3-filelock",
    "floor",
    "true",
)
FILESYSTEMS = ("tmpfs", "ext4")
FIGURES = (
    "cycle",
    "cycle-new",
    "cycle-calls",
    "handoff",
    "contention",
    "contention-cpu",
    "contention-fewest",
    "contention-most",
    "contention-exit",
    "contention-exit-cpu",
    "starvation-longest",
    "starvation-median",
    "starvation-share",
    "idle",
    "fork",
    "takeover",
    "tool",
    "tool-calls",
    "double",
    "double-taken",
    "step",
)
# what is not measured itself, but said of the run
ABOUT = ("machine", "version")
# what nothing of its kind can be cheaper than
LEAST = {"cycle": "floor", "tool": "true"}
BEGIN = "<!-- begin: by bench/report.py -->\n"
END = "<!-- end: by bench/report.py -->\n"


def spread_of(values):
    values = sorted(values)
    if len(values) == 1:
        quartiles = values * 3
    else:
        quartiles = statistics.quantiles(values, n=4, method="inclusive")
    return Spread(len(values), values[0], *quartiles, values[-1])


def ours(figure):
    return "lockfile-pid run" if figure.startswith("tool") else "lockfile-pid"


def in_order(known, found):
    """As in the list of what is known; what is not comes after that."""
    found = list(dict.fromkeys(found))
    return [name for name in known if name in found] + [
        name for name in found if name not in known
    ]


class Report:
    def __init__(self, samples):
        self.samples = samples.numbers
        self.units = samples.units
        self.spreads = {key: spread_of(values) for key, values in samples.numbers.items()}
        words = {key: "; ".join(answers) for key, answers in samples.words.items()}
        self.about = {key: text for key, text in words.items() if key.figure in ABOUT}
        self.facts = {key: text for key, text in words.items() if key.figure not in ABOUT}
        keys = [*self.spreads, *self.facts]
        self.figures = in_order(FIGURES, (key.figure for key in self.spreads))
        self.filesystems = in_order(FILESYSTEMS, (key.filesystem for key in keys))
        self.peers = in_order(PEERS, (key.peer for key in keys))
        self.left_out = [name for name in PEERS if name not in self.peers]

    def parameters(self, figure):
        found = {key.parameter for key in self.spreads if key.figure == figure}
        return sorted(found, key=lambda text: (int(text) if text.isdigit() else 0, text))

    def ratio(self, key, peer):
        """Of the medians; None where there is nothing to compare with."""
        base = self.spreads.get(key._replace(peer=peer))
        return self.spreads[key].median / base.median if base and base.median else None

    def ratio_to_ours(self, key):
        return self.ratio(key, ours(key.figure))

    def ratio_to_least(self, key):
        return self.ratio(key, LEAST[key.figure]) if key.figure in LEAST else None

    @staticmethod
    def key(*fields):
        return Key(*fields)

    def rounds(self, figure, filesystem, peer):
        """In how many rounds it happened, whatever the parameter, and of how many."""
        count = rounds = 0
        for key, values in self.samples.items():
            if key[:3] == (figure, filesystem, peer):
                count += int(sum(values))
                rounds += rounds_of(key.parameter) * len(values)
        return count, rounds

    def machine(self):
        return {key.parameter: text for key, text in self.about.items() if key.figure == "machine"}

    def versions(self):
        return {key.peer: text for key, text in self.about.items() if key.figure == "version"}


def row_of(report, key):
    row = {**key._asdict(), "unit": report.units[key.figure], **report.spreads[key]._asdict()}
    row["ratio_to_lockfile_pid"] = report.ratio_to_ours(key)
    if key.figure in LEAST:
        row["ratio_to_" + LEAST[key.figure]] = report.ratio_to_least(key)
    return row


def lines_of(rows):
    """One a line, so that a difference is one, too."""
    return "[\n" + ",\n".join("    " + json.dumps(row) for row in rows) + "\n  ]"


def as_json(report):
    parts = {
        "machine": json.dumps(report.machine()),
        "versions": json.dumps(report.versions()),
        "left_out": json.dumps(report.left_out),
        "figures": lines_of(row_of(report, key) for key in report.spreads),
        "facts": lines_of({**key._asdict(), "answer": text} for key, text in report.facts.items()),
    }
    return "{\n" + ",\n".join(f'  "{name}": {text}' for name, text in parts.items()) + "\n}\n"


def between_marks(page, text):
    if page.count(BEGIN) != 1 or page.count(END) != 1 or page.index(BEGIN) > page.index(END):
        raise Refused("bench.md: there have to be one begin mark and one end mark after it")
    return page[: page.index(BEGIN)] + BEGIN + "\n" + text + "\n" + page[page.index(END) :]


def write(directory, name, text):
    with open(os.path.join(directory, name), "w", encoding="utf-8") as file:
        file.write(text)


def fill_page(directory, text):
    path = os.path.join(directory, "bench.md")
    if os.path.exists(path):
        with open(path, encoding="utf-8") as file:
            page = file.read()
        write(directory, "bench.md", between_marks(page, text))


def main():
    parser = argparse.ArgumentParser(prog="report.py", description="see bench/report.py")
    parser.add_argument("-d", metavar="DIRECTORY", help="where to put what is drawn")
    parser.add_argument("-o", metavar="DIRECTORY", default=".", help="where to put the report")
    parser.add_argument("files", metavar="FILE", nargs="+")
    arguments = parser.parse_args()
    samples = Samples()
    for name in arguments.files:
        samples.read(name)
    report = Report(samples)
    fill_page(arguments.o, tables.as_markdown(report))
    write(arguments.o, "bench.json", as_json(report))
    write(arguments.o, "bench.txt", tables.as_text(report))
    if arguments.d:
        for name, text in plots.data(report).items():
            write(arguments.d, name, text)


if __name__ == "__main__":
    try:
        main()
    except OSError as error:
        sys.exit(f"report.py: {error.filename}: {error.strerror}")
    except Refused as error:
        sys.exit(f"report.py: {error}")

# SPDX-License-Identifier: BSD-2-Clause
"""tables - a report to be read: as text of 100 columns, and as Markdown"""

import string
import textwrap

WIDTH = 100

TITLES = {
    "cycle": "Cycle: one lock and unlock that nobody else wants",
    "cycle-new": "Cycle that makes a handle first, and frees it",
    "cycle-calls": "System calls of such a cycle",
    "handoff": "Hand-off: from the release to the lock in a waiter that sleeps",
    "contention": "Contention: time an acquisition takes, by the number of waiters",
    "contention-cpu": "Contention: processor time an acquisition takes, by the number of waiters",
    "contention-fewest": "Contention: turns of the waiter that had the fewest",
    "contention-most": "Contention: turns of the waiter that had the most",
    "contention-exit": "Contention of processes that end after their turn, and are replaced",
    "contention-exit-cpu": "The same: processor time an acquisition takes",
    "starvation-longest": "Beside a tight loop: the longest wait",
    "starvation-median": "Beside a tight loop: waits",
    "starvation-share": "Beside a tight loop: turns had, in percent",
    "idle": "Waiting: processor time of 10 s in which nothing happens",
    "fork": "Fork of a process that holds so many locks, until the child runs",
    "takeover": "Takeover: from SIGKILL of the holder to the lock in a waiter that sleeps",
    "tool": "Tool: from start to finish of a command that does nothing, under the lock",
    "tool-calls": "System calls of that: all, and those that are not the loader's or the command's",
    "step": "Cycle, call by call, with a clock around each",
}
# figures of the main table, and their heads
SPEED = {
    "cycle": "cycle",
    "cycle-calls": "calls",
    "handoff": "hand-off",
    "contention": "{} wait",
    "takeover": "takeover",
    "idle": "idle 10 s",
    "tool": "tool",
}
CORRECTNESS = {
    "The holder is dead: its lock is to be taken over, by one": {
        "double": "rounds with two holders",
        "reused-pid": "its PID is another's",
        "zombie": "it is a zombie",
        "orphan": "a child of it lives",
        "pid1-dead": "it was PID 1, as who contends",
    },
    "The holder lives: its lock is not to be had": {
        "eperm": "it is another user's",
        "fork-exit": "a child of it exits",
        "container": "seen from a container",
        "pid1": "it is PID 1, as who contends",
    },
}
# the row of a library has the figure of its tool
TOOL_OF = {"lockfile-pid": "lockfile-pid run"}

SCALES = {"ns": 1, "us": 1e3, "ms": 1e6, "s": 1e9}


def digits(number):
    """Three of them."""
    if number == 0:
        return "0"
    decimals = 2 if number < 9.995 else 1 if number < 99.95 else 0
    return f"{number:,.{decimals}f}"


def scale_of(number, unit):
    """The unit in which a number is best read."""
    if unit not in SCALES or number == 0:
        return unit
    number *= SCALES[unit]
    return [name for name, size in SCALES.items() if number >= size or name == "ns"][-1]


def scaled(number, unit, scale):
    if unit in SCALES:
        return digits(number * SCALES[unit] / SCALES[scale])
    return f"{number:.1f}" if unit == "percent" else f"{number:,.10g}"


def amount(number, unit):
    scale = scale_of(number, unit)
    text = scaled(number, unit, scale)
    return f"{text} {scale}" if scale in SCALES else text


def times(ratio):
    return "-" if ratio is None else digits(ratio) + "x"


class Notes:
    """What is said in words, once each, under a letter."""

    def __init__(self):
        self.letters = {}

    def mark(self, text):
        number = len(self.letters)
        letters = string.ascii_lowercase
        letter = letters[number % 26] * (number // 26 + 1)
        return f"({self.letters.setdefault(text, letter)})"

    def lines(self):
        return [f"({letter}) {text}" for text, letter in self.letters.items()]


def most_waiters(report):
    counts = [int(text) for text in report.parameters("contention") if text.isdigit()]
    return max(counts, default=0)


def parameter_of_cell(report, figure):
    if figure == "contention":
        return str(most_waiters(report))
    return next(iter(report.parameters(figure)), "-")


def key_in(report, figure, filesystem, peer):
    """Of what was measured for the cell of the main table, or None."""
    key = report.key(figure, filesystem, peer, parameter_of_cell(report, figure))
    return key if key in report.spreads else None


def is_of_cell(report, key):
    """Is it said of what the main table shows, or of its figure as such?"""
    return key.figure in SPEED and key.parameter in ("-", parameter_of_cell(report, key.figure))


def speed_cell(report, notes, place):
    """The median and its ratio to ours, and what is said in words; or "-"."""
    key = key_in(report, *place)
    words = (
        text
        for key, text in report.facts.items()
        if key[:3] == place and is_of_cell(report, key)
    )
    marks = [notes.mark(text) for text in dict.fromkeys(words)]
    if key is None:
        return " ".join(marks) or "-", ""
    median = amount(report.spreads[key].median, report.units[key.figure])
    return " ".join([median, *marks]), times(report.ratio_to_ours(key))


def tool_of(figure, peer):
    return TOOL_OF.get(peer, peer) if figure == "tool" else peer


def speed_rows(report, notes, filesystem):
    figures = [figure for figure in SPEED if figure in report.figures]
    rows = [[filesystem, *(SPEED[name].format(f"{most_waiters(report):,}") for name in figures)]]
    for peer in report.peers:
        cells = [
            speed_cell(report, notes, (figure, filesystem, tool_of(figure, peer)))
            for figure in figures
        ]
        if any(cell[0] != "-" for cell in cells) and peer not in TOOL_OF.values():
            rows.append([peer, *cells])
    return rows


def rounds_with_two(report, filesystem, peer):
    """Of how many; and, who never takes over never has two holders either."""
    count, rounds = report.rounds("double", filesystem, peer)
    taken, of = report.rounds("double-taken", filesystem, peer)
    if not rounds:
        return ""
    if not taken:
        return f"nobody took over in {of:,}"
    return f"{count:,} of {rounds:,}" + (f", {of - taken:,} with none" if taken < of else "")


def answer(report, figure, peer):
    """On all file systems, with their names where it is not the same on all."""
    answers = {}
    for filesystem in report.filesystems:
        if figure == "double":
            text = rounds_with_two(report, filesystem, peer)
            if text:
                answers.setdefault(text, []).append(filesystem)
        for key, text in report.facts.items():
            if key[:3] == (figure, filesystem, peer):
                answers.setdefault(text, []).append(filesystem)
    if len(answers) == 1:
        return next(iter(answers))
    return "; ".join(f"{text} ({', '.join(on)})" for text, on in answers.items()) or "-"


def correctness_rows(report, columns):
    known = {*report.figures, *(key.figure for key in report.facts)}
    figures = [figure for figure in columns if figure in known]
    rows = [["", *(columns[figure] for figure in figures)]]
    for peer in report.peers:
        answers = [answer(report, figure, peer) for figure in figures]
        if any(text != "-" for text in answers):
            rows.append([peer, *answers])
    return rows


def remarks(report):
    """What was said in words of what is in neither table, or says more than it does."""
    answers = {figure for columns in CORRECTNESS.values() for figure in columns}
    told = {(key[:3], text) for key, text in report.facts.items() if is_of_cell(report, key)}
    return [
        f"{key.figure}, {key.filesystem}, {key.peer}, {key.parameter}: {text}"
        for key, text in report.facts.items()
        if key.figure not in answers and (key[:3], text) not in told
    ]


def machine_lines(report):
    lines = [f"{name}: {text}" for name, text in report.machine().items()]
    if report.versions():
        lines.append("versions: " + ", ".join(dict.fromkeys(report.versions().values())))
    if report.left_out:
        lines.append("left out: " + ", ".join(report.left_out))
    return lines


# Text


def fill(text, indent=""):
    return textwrap.fill(
        text, WIDTH, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )


def wrapped(rows, width):
    """Rows of lines of cells: each column but the first so wide, or as its longest word."""
    whole = textwrap.TextWrapper(width, break_long_words=False, break_on_hyphens=False)
    for row in rows:
        cells = [[row[0]], *(whole.wrap(cell) or [""] for cell in row[1:])]
        for i in range(max(map(len, cells))):
            yield [cell[i] if i < len(cell) else "" for cell in cells]


def two_lines(rows):
    """Medians, and below them ratios."""
    head, *rows = rows
    yield head
    for peer, *cells in rows:
        yield [peer, *(median for median, _ in cells)]
        yield ["", *(ratio for _, ratio in cells)]


def aligned(rows, right=True):
    rows = list(rows)
    widths = [max(map(len, column)) for column in zip(*rows)]
    for first, *cells in rows:
        cells = [
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width in zip(cells, widths[1:])
        ]
        yield "  ".join([first.ljust(widths[0]), *cells]).rstrip()


def detail_row(report, key, name):
    spread, unit = report.spreads[key], report.units[key.figure]
    scale = scale_of(spread.median, unit)
    low, high, least, most = (
        scaled(number, unit, scale)
        for number in (spread.lower_quartile, spread.upper_quartile, spread.least, spread.most)
    )
    return [
        "  " + name,
        str(spread.n),
        amount(spread.median, unit),
        f"{low} .. {high}",
        f"{least} .. {most}",
        times(report.ratio_to_ours(key)),
        times(report.ratio_to_least(key)),
    ]


def by_parameter(report, figure, filesystem):
    for parameter in report.parameters(figure):
        keys = [report.key(figure, filesystem, peer, parameter) for peer in report.peers]
        yield f"{filesystem} {parameter}".removesuffix(" -"), "peer", keys


def by_peer(report, figure, filesystem):
    for peer in report.peers:
        keys = [report.key(figure, filesystem, peer, name) for name in report.parameters(figure)]
        yield f"{filesystem} {peer}", "parameter", keys


def detail_rows(report, figure):
    groups = by_peer if figure == "step" else by_parameter
    for filesystem in report.filesystems:
        for title, field, keys in groups(report, figure, filesystem):
            keys = [key for key in keys if key in report.spreads]
            if keys:
                yield [title, *[""] * 6]
                yield from (detail_row(report, key, getattr(key, field)) for key in keys)


def detail(report, figure):
    least = {"cycle": "to floor", "tool": "to true"}.get(figure, "")
    rows = [["", "n", "median", "quartiles", "least .. most", "to ours", least]]
    rows += detail_rows(report, figure)
    if not least:
        rows = [row[:-1] for row in rows]
    return [TITLES.get(figure, figure), "", *aligned(rows), ""]


def as_text(report):
    notes = Notes()
    lines = [fill(line, "    ") for line in machine_lines(report)]
    lines += ["", "Speed: medians, and how many times those of lockfile-pid they are", ""]
    for filesystem in report.filesystems:
        rows = speed_rows(report, notes, filesystem)
        if len(rows) > 1:
            lines += [*aligned(two_lines(rows)), ""]
    lines += ["-: there is no such thing, or nothing was measured"]
    lines += [fill(line, "    ") for line in notes.lines()]
    lines += ["", "Correctness", ""]
    for title, columns in CORRECTNESS.items():
        rows = correctness_rows(report, columns)
        if len(rows) > 1:
            width = (WIDTH - max(len(row[0]) for row in rows)) // (len(rows[0]) - 1) - 2
            lines += [title, "", *aligned(wrapped(rows, width), right=False), ""]
    if remarks(report):
        lines += ["Remarks", "", *(fill(line, "    ") for line in remarks(report)), ""]
    lines += ["All figures", ""]
    for figure in report.figures:
        if report.units[figure] != "rounds":
            lines += detail(report, figure)
    return "\n".join(lines).rstrip() + "\n"


# Markdown


def in_bars(rows, right):
    head, *rows = rows
    mark = "---:" if right else "---"
    yield "| " + " | ".join(head) + " |"
    yield "| " + " | ".join(["---", *[mark] * (len(head) - 1)]) + " |"
    for row in rows:
        cells = (cell if isinstance(cell, str) else "<br>".join(filter(None, cell)) for cell in row)
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def as_markdown(report):
    notes = Notes()
    lines = [f"- {line}" for line in machine_lines(report)] + [""]
    for filesystem in report.filesystems:
        rows = speed_rows(report, notes, filesystem)
        if len(rows) > 1:
            lines += [*in_bars(rows, right=True), ""]
    lines += [f"- {line}" for line in notes.lines()]
    for title, columns in CORRECTNESS.items():
        rows = correctness_rows(report, columns)
        if len(rows) > 1:
            lines += ["", title + ":", "", *in_bars(rows, right=False)]
    if remarks(report):
        lines += ["", "Remarks:", "", *(f"- {line}" for line in remarks(report))]
    return "\n".join(lines).rstrip() + "\n"

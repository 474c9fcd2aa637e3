# SPDX-License-Identifier: BSD-2-Clause
"""samples - what the benchmarks print, one a line:

    FIGURE  FILESYSTEM  PEER  PARAMETER  UNIT  VALUE

with tabs in between.  The value is a number, or words where the unit is "fact".
"""

import math
import re
from collections import defaultdict, namedtuple

Key = namedtuple("Key", "figure filesystem peer parameter")

UNITS = ("ns", "us", "calls", "percent", "rounds", "turns", "fact")


class Refused(Exception):
    """A line that is no sample."""


class Samples:
    """All numbers and words of some files, in the order in which they came."""

    def __init__(self):
        self.numbers = defaultdict(list)
        self.words = defaultdict(list)
        self.units = {}

    def read(self, name):
        before = len(self)
        with open(name, encoding="utf-8") as file:
            for number, line in enumerate(file, 1):
                try:
                    self.add(line)
                except ValueError as error:
                    raise Refused(f"{name}:{number}: {error}") from None
        if len(self) == before:
            raise Refused(f"{name}: no samples")

    def add(self, line):
        fields = line.rstrip("\n").split("\t")
        if not line.endswith("\n"):
            raise ValueError("the line is cut off")
        if len(fields) != 6:
            raise ValueError(f"{len(fields)} fields, not 6")
        if not all(field.strip() for field in fields):
            raise ValueError("an empty field")
        *names, unit, value = fields
        key = Key(*names)
        if unit == "fact":
            # asked more than once, as a rule with the same answer
            if value not in self.words[key]:
                self.words[key].append(value)
        else:
            self.check_unit(key.figure, unit)
            if unit == "rounds":
                rounds_of(key.parameter)
            self.numbers[key].append(number_of(value))

    def check_unit(self, figure, unit):
        if unit not in UNITS:
            raise ValueError(f"no such unit: {unit}")
        if self.units.setdefault(figure, unit) != unit:
            raise ValueError(f"{figure} was in {self.units[figure]} before, not in {unit}")

    def __len__(self):
        return sum(map(len, self.numbers.values())) + sum(map(len, self.words.values()))


def number_of(text):
    number = float(text)
    if not math.isfinite(number) or number < 0:
        raise ValueError(f"no number that can be measured: {text}")
    return number


def rounds_of(parameter):
    """As "ROUNDS", or "ROUNDSxCONTENDERS WORD"."""
    match = re.fullmatch(r"(\d+)(x\d+)?( .*)?", parameter)
    if not match:
        raise ValueError(f"no number of rounds: {parameter}")
    return int(match[1])

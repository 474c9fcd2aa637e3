#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# check-diagram.sh - doc/protocol.svg is what doc/protocol.dot says
#
# Where things stand, and how wide letters are, differs between versions of dot:
# the words are compared, and what leads to what.

# shellcheck source=tests/tap.sh
. "${top_srcdir:?}/tests/tap.sh"

source=$top_srcdir/doc/protocol.dot
picture=$top_srcdir/doc/protocol.svg

# words <SVG: labels, and names of states and of arrows
words()
{
	sed -n 's:.*<\(text\|title\)[^>]*>\([^<]*\)</.*:\2:p' |
		sed 's/&#160;/ /g; s/&#45;/-/g; s/&gt;/>/g; s/^ *//; s/ *$//' | sort
}

is_drawn_from_its_source()
{
	dot -Tsvg "$source" | words >"$tmp/source"
	words <"$picture" >"$tmp/picture"
	[ -s "$tmp/source" ] && diff "$tmp/source" "$tmp/picture"
}

# fits: as browsers show it, at 96 points per 72
fits()
{
	width=$(sed -n 's/.*<svg width="\([0-9]*\)pt".*/\1/p' "$picture")
	[ "$((width * 96 / 72))" -le 1000 ]
}

# Also on a dark page.
is_white()
{
	grep -q '<polygon fill="white" stroke="\(none\|transparent\)"' "$picture"
}

if command -v dot >/dev/null; then
	expect 'the picture is that of its source' is_drawn_from_its_source
else
	skip 'the picture is that of its source' 'there is no dot'
fi
expect 'it is not wider than a page' fits
expect 'it has a white background' is_white
finish

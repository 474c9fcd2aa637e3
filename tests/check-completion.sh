#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# check-completion.sh - what bash(1) completes of the tool's command line

# shellcheck source=tests/tap.sh
. "${top_srcdir:?}/tests/tap.sh"

framework=/usr/share/bash-completion/bash_completion
dir=$tmp/dir
mkdir "$dir" "$dir/run.d"
: >"$dir/one.pid"

# As bash does it with the words and the last of them to be completed; what it finds, one
# a line.  That takes place outside of a real completion, in which alone compopt may be used.
cat >"$tmp/complete.bash" <<'EOF'
compopt() { :; }
. "$1"
. "$2"
# What completes the command is a function of bash-completion; it is told where it begins.
_command_offset() { COMPREPLY=("command-from-$1"); }
shift 2
COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMP_TYPE=9
COMP_LINE=$*
COMP_LINE=${COMP_LINE// = /=} COMP_POINT=${#COMP_LINE}
read -ra how < <(complete -p lockfile-pid)
"${how[2]}" "$1" "${*: -1}" "${*: -2:1}"
printf '%s\n' "${COMPREPLY[@]}"
EOF

# completions WORD...: the tool's, of which the last is to be completed
completions()
{
	(cd "$dir" && bash --norc "$tmp/complete.bash" "$framework" \
		"$top_srcdir/tools/completion/lockfile-pid" "${TOOL:?}" "$@") >"$tmp/found" 2>&1
	sort "$tmp/found"
}

# gives EXPECTED WORD...: exactly that
gives()
{
	# shellcheck disable=SC2086 # words
	printf '%s\n' $1 | sort >"$tmp/expected"
	shift
	completions "$@" | diff "$tmp/expected" -
}

# Every option that the help of the command names, and no other.
gives_options()
{
	gives "$("$TOOL" "$1" --help | grep -o -- '--[a-z][a-z-]*=*' | sort -u)" "$1" --
}

# nothing WORD...: is an empty line
nothing()
{
	gives '' "$@"
}

# The others: the same options, and what they can be asked without a terminal.

# names_of: long options without what follows them
names_of()
{
	grep -o -- '--[a-z][a-z-]*' | sort -u
}

zsh_has_options()
{
	zsh=$top_srcdir/tools/completion/_lockfile-pid
	{ sed -n '/^either=/,/^cluster=/p' "$zsh"; sed -n "/^	$1)/,/;;/p" "$zsh"; } |
		names_of >"$tmp/found"
	"$TOOL" "$1" --help | names_of | diff - "$tmp/found"
}

# fish_gives EXPECTED LINE: the words, without what is said of them
fish_gives()
{
	# shellcheck disable=SC2086 # words
	printf '%s\n' $1 | sort >"$tmp/expected"
	(cd "$dir" && HOME=$tmp fish --no-config -c "
		source $top_srcdir/tools/completion/lockfile-pid.fish
		complete -C '$2'") >"$tmp/found" 2>&1
	cut -f 1 "$tmp/found" | sort -u | diff "$tmp/expected" -
}

fish_has_options()
{
	fish_gives "$("$TOOL" "$1" --help | names_of)" "lockfile-pid $1 --"
}

if [ -x "${TOOL:?}" ]; then
	for command in run check signal lock unlock; do
		expect "zsh: $command: its options" zsh_has_options "$command"
	done
fi
if command -v zsh >/dev/null; then
	expect 'zsh: it is a script of zsh' zsh -fn "$top_srcdir/tools/completion/_lockfile-pid"
else
	skip 'zsh: it is a script of zsh' 'zsh is not installed'
fi
if [ -x "$TOOL" ] && command -v fish >/dev/null; then
	expect 'fish: a command that is begun' fish_gives check 'lockfile-pid ch'
	for command in run check signal lock unlock; do
		expect "fish: $command: its options" fish_has_options "$command"
	done
	expect 'fish: a path after an argument' fish_gives one.pid 'lockfile-pid run -w 2 on'
	expect 'fish: a path' fish_gives 'one.pid run.d/' 'lockfile-pid check '
	expect 'fish: a command after the path' fish_gives chgrp 'lockfile-pid run one.pid chgr'
	expect 'fish: a command after options and the path' \
		fish_gives chgrp 'lockfile-pid run -n -w 2 -- one.pid -- chgr'
	expect 'fish: the words of the command' \
		fish_gives one.pid 'lockfile-pid run -w 2 one.pid cat on'
else
	skip 'fish: what it completes' 'fish is not installed'
fi

if ! command -v bash >/dev/null || [ ! -e "$framework" ]; then
	skip 'completion' 'bash-completion is not installed'
	finish
	exit
fi
if [ ! -x "${TOOL:?}" ]; then
	skip 'completion' 'the tool is built with Check only'
	finish
	exit
fi
expect 'the commands' gives 'check lock run signal unlock --help --version' ''
expect 'a command that is begun' gives check ch
for command in run check signal lock unlock; do
	expect "$command: its options" gives_options "$command"
	expect "$command: a path" gives 'one.pid run.d' "$command" ''
	expect "$command: a path that is begun" gives one.pid "$command" o
	expect "$command: a path after an option" gives one.pid "$command" --cluster-locks o
done
expect 'run: a path after an argument' gives one.pid run -w 2 o
expect 'run: a path after letters that end with an argument' gives one.pid run -vw 2 o
expect 'run: a path after an argument that "=" joins' gives one.pid run --wait = 2 o
expect 'run: a path after --' gives one.pid run -- o
expect 'run: a path after a mode' gives one.pid run -m 0640 o
expect 'run: no word for a number' nothing run -w o
expect 'run: no word for a number that "=" joins' nothing run --wait = o
expect 'run: a mode' gives '0640 0644' run -m 064
expect 'run: a mode that "=" joins' gives '0640 0644' run --mode = 064
expect 'run: a command after the path' gives command-from-3 run one.pid one-c
expect 'run: a command after the path and --' gives command-from-5 run -n one.pid -- one-c
expect 'run: a command after a path that looks like an option' \
	gives command-from-4 run -- -v one-c
expect 'run: nothing for the -- before the command' gives command-from-3 run one.pid --
expect 'run: a command after an argument that "=" joins' \
	gives command-from-6 run --wait = 2 one.pid one-c
expect 'run: the words of the command' gives command-from-3 run one.pid one-command o
expect 'check: no second path' nothing check one.pid o
expect 'check: an option after the path' gives --quiet check one.pid --q
expect 'signal: a signal' gives 'USR1 USR2' signal -s US
expect 'signal: a signal that "=" joins' gives 'USR1 USR2' signal --signal = US
expect 'signal: a path after an argument' gives one.pid signal -s TERM -w 2 o
expect 'signal: no second path' nothing signal one.pid o
expect 'lock: a path after a PID' gives one.pid lock --pid 12 o
expect 'lock: a mode' gives '0640 0644' lock -m 064
expect 'unlock: no second path' nothing unlock one.pid o
expect 'nothing of an unknown command' nothing walk o
finish

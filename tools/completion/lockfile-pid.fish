# SPDX-License-Identifier: BSD-2-Clause
# lockfile-pid(1) completion for fish

# The number of the word that is PATH, which options and their arguments precede; or 0.
function __lockfile_pid_path
    set -l words (commandline -opc)
    set -l takes 0
    set -l ended 0
    for i in (seq 3 (count $words))
        set -l word $words[$i]
        if test $takes -eq 1
            set takes 0
        else if test $ended -eq 1; or not string match -q -- '-*' $word
            echo $i
            return
        else if test "$word" = --
            set ended 1
        else if string match -qr '^(-[a-zA-Z]*[wEms]|--(wait|conflict-exit-code|mode|signal|pid))$' -- $word
            set takes 1
        end
    end
    echo 0
end

function __lockfile_pid_before_path
    test (__lockfile_pid_path) -eq 0
end

# What follows PATH is a command line of its own.
function __lockfile_pid_command
    set -l words (commandline -opc)
    set -l at (math (__lockfile_pid_path) + 1)
    set -l rest
    if test (count $words) -ge $at
        set rest $words[$at..-1]
        test "$rest[1]" = --; and set -e rest[1]
    end
    complete -C (string join ' ' -- (string escape -- $rest) (commandline -ct))
end

set -l commands run check signal lock unlock
complete -c lockfile-pid -n "not __fish_seen_subcommand_from $commands" -f
complete -c lockfile-pid -n "not __fish_seen_subcommand_from $commands" -a run -d 'Hold the lock while a command runs'
complete -c lockfile-pid -n "not __fish_seen_subcommand_from $commands" -a check -d 'Say who holds the lock'
complete -c lockfile-pid -n "not __fish_seen_subcommand_from $commands" -a signal -d 'Send a signal to the holder'
complete -c lockfile-pid -n "not __fish_seen_subcommand_from $commands" -a lock -d 'Take the lock for the calling script'
complete -c lockfile-pid -n "not __fish_seen_subcommand_from $commands" -a unlock -d 'Release what the script has taken'

complete -c lockfile-pid -n __lockfile_pid_before_path -l help -d 'Print a summary'
complete -c lockfile-pid -n __lockfile_pid_before_path -l version -d 'Print the version'
set -l of "__fish_seen_subcommand_from $commands; and __lockfile_pid_before_path"
complete -c lockfile-pid -n $of -l cluster-locks -d 'Kernel locks are those of all hosts'

set -l of "__fish_seen_subcommand_from run lock; and __lockfile_pid_before_path"
complete -c lockfile-pid -n $of -s n -l nonblock -d 'Do not wait'
complete -c lockfile-pid -n $of -s m -l mode -x -a '0600 0640 0644 0660 0664' -d 'Permissions'
set -l of "__fish_seen_subcommand_from run lock signal; and __lockfile_pid_before_path"
complete -c lockfile-pid -n $of -s w -l wait -x -d 'Wait no longer than this'
set -l of "__fish_seen_subcommand_from lock unlock; and __lockfile_pid_before_path"
complete -c lockfile-pid -n $of -l pid -x -a '(__fish_complete_pids)' -d 'For this process'

set -l of "__fish_seen_subcommand_from run; and __lockfile_pid_before_path"
complete -c lockfile-pid -n $of -s E -l conflict-exit-code -x -d 'Exit status of a conflict'
complete -c lockfile-pid -n $of -s F -l no-fork -d 'Let the command be the holder'
complete -c lockfile-pid -n $of -s k -l kill -d 'End the command if the lock is lost'
complete -c lockfile-pid -n $of -l descendants -d 'Wait for all that the command has started'
complete -c lockfile-pid -n $of -l for-ancestor -d 'Wait even for an ancestor'
complete -c lockfile-pid -n $of -s v -l verbose -d 'Say what is waited for'

set -l of "__fish_seen_subcommand_from check; and __lockfile_pid_before_path"
complete -c lockfile-pid -n $of -s q -l quiet -d 'Only the exit status'
set -l of "__fish_seen_subcommand_from signal; and __lockfile_pid_before_path"
complete -c lockfile-pid -n $of -s s -l signal -x -a 'TERM HUP INT QUIT USR1 USR2 CONT STOP KILL' -d 'The signal'

complete -c lockfile-pid -n '__fish_seen_subcommand_from run; and not __lockfile_pid_before_path' -x -a '(__lockfile_pid_command)'

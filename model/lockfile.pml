/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The protocol of lib/lock.c for the model checker spin
 * =====================================================
 *
 * PROCESSES processes contend for one PATH.  Each lives, dies (at any step, or at
 * its end) and lives again under another process number, without limit: of a
 * dead process all that matters is that it is dead, so what it recorded reads
 * DEAD from then on, and the number of states stays finite.  check.sh runs this.
 *
 * One step is one system call that another process can notice: link, create,
 * rename and unlink of PATH and PATH.takeover; open, close, lock; a look at a
 * name, at a lock, at what is recorded and whether that process lives.  What only
 * its own process notices is part of the step before or after it: making an
 * unnamed candidate (with its lock and record), and closing a file that was only
 * read.
 *
 * Inode numbers are given anew as soon as nothing is left of the file: first one
 * that somebody remembers whose descriptor was closed, for that can be mistaken,
 * then the lowest.  That loses nothing while all other numbers that are compared
 * belong to files that are open (then free numbers are interchangeable), which is
 * what the guards are for.  Which number it is, and which process is which,
 * makes no state of its own (symmetry.h).
 *
 * Checked at every step: who makes PATH its file finds nobody that holds; who
 * removes or replaces PATH, be it with the candidate of another, removes its own, or
 * one that nobody holds.  A process holds from
 * the step that makes PATH its file until it removes it or dies, a child from fork
 * on.  At any time when all are dead: a newcomer that nobody disturbs has
 * the lock after at most ROUNDS rounds, and leaves no PATH, nor, if it needed
 * the right, PATH.takeover.
 *
 * What the processes are like:
 *	NAMED		may be unable to link unnamed files: the candidate is made at
 *			PATH.takeover, and moved by rename without replacing
 *	PLACEHOLDER	as NAMED, but moved by way of an empty file at PATH
 *	INHERITABLE	all locks are; holders fork, let go; children adopt
 *	CLOSING		a holder's descriptor may be closed underneath
 *	STRANGER	the last process is in a PID namespace of its own
 *
 *	LEAKING		who dies may leave a copy of all its descriptors behind, as a process
 *			made by clone(2) has: one such process at a time, until it ends
 *	HANDLES		all are handles of one process, which lives
 *	READER		somebody with permission to read PATH locks it for reading, one file at a time,
 *			as often and for as long as it likes
 *	LIVES=n		so many lives each (forked children apart), from a stale PATH and a leftover
 *
 * What leaves out a guard (then a check must fail):
 *	NO_RECHECK_UNDER_RIGHT	replace by the verdict from before the right
 *	NO_PATH_LEADS_TO	do not compare PATH after the verdict
 *	JUDGED_NOT_KEPT_OPEN	close the judged file before PATH is compared
 *	LINK_OVER		publish with a rename that replaces
 *	TAKEOVER_WITHOUT_EXCL	claim the right over another's
 *	LEFTOVER_WITHOUT_LOCK	clear a leftover whether its maker lives or not
 *	LEFTOVER_NO_NAME_CHECK	and not compare its name
 *	CLOSE_BEFORE_UNLINK_OF_LEFTOVER
 *	CLEARING_WITHOUT_BYTE_1	clear it by either rule, without the lock of those who clear
 *	CLEARING_BY_BYTE_0	know no dead maker by its record: a leaked copy blocks
 *	CLEARING_BY_ANY_RECORD	nor compare whether the record means anything here
 *	BYTE_1_LEFT_LOCKED	close what was not cleared without unlocking it first
 *	HANDLES_UNKNOWN		take the file of another handle for that of a former image
 *	READ_LOCKS_COUNT	take a reader's lock for a holder's
 *	TAKEOVER_READABLE	let others read PATH.takeover
 *	NO_NAME_CHECK		use a named candidate though the name is gone
 *	PLACEHOLDER_WITHOUT_EXCL
 *	CLOSE_BEFORE_UNLINK	release: close first
 *	NO_RANDOM_NUMBER	know one's file by its inode number alone
 *	RELEASE_CLOSED_WITHOUT_RIGHT
 *	RELEASE_INHERITABLE_WITHOUT_RIGHT
 *	RELEASE_WITHOUT_RECHECK	check PATH before the right only
 *	ADOPT_WITHOUT_RECHECK
 *	LET_GO_WITHOUT_RIGHT	remove a stale file without the right
 *	WITHDRAW_CLOSED		close the candidate before its name is removed: it takes
 *				three processes, of more than one life, to fail
 *
 * Bounded: the processes, and their lives with LIVES only; a holder has at most one
 * lock; a child does not fork before it adopts.  Not modelled: the
 * line of waiters (queue.pml; locking does not depend on it), names changed by hand,
 * foreign lock files, failing calls, networks (network.pml).  A newcomer does
 * not come while a leaked copy of one that was killed while it cleared has its lock: that
 * blocks others until it ends.
 */
#ifndef PROCESSES
#define PROCESSES 2
#endif
#if defined(LEAKING) || defined(READER)
#define INODES	  (3 * PROCESSES + 5)
#else
#define INODES	  (3 * PROCESSES + 2)
#endif
#define ROUNDS	  4
#define NONE	  0

/* The record of a file: who made it, 1 and up, or */
#define EMPTY	  0
#define LET_GO	  20
#define DEAD	  21		/* and 22 in the stranger's namespace */

/* what the right is for */
#define ACQUIRE	  0
#define RELEASE	  1
#define ADOPT	  2
#define LEAVE	  3

#ifdef PLACEHOLDER
#define NAMED
#endif
/* the inode that each name leads to */
#ifdef LIVES
#define some_life_left (lives[_pid] < LIVES)
byte lives[PROCESSES];
byte path = 1, takeover = 2;	/* a stale file and a leftover */
#else
#define some_life_left true
byte path, takeover;
#endif
byte opened[INODES + 1];	/* how many descriptors of it there are, */
byte locked[INODES + 1];	/* and copies of the one with its kernel lock, on byte 0 */
bool clearing[INODES + 1];	/* byte 1 is locked, by one who clears it */
#ifdef LEAKING
#define BYTE_0	  1
#define BYTE_1	  2
byte leaked[INODES + 1];	/* what the leaked copy of a descriptor has locked */
bool has_leaked;
bool has_leaked_byte_1;		/* and its process was killed while it cleared */
#ifdef STRANGER
#define nobody_is_blocked (!has_leaked)	/* by a copy of a process that means nothing here */
#else
#define nobody_is_blocked (!has_leaked_byte_1)
#endif
#else
#define nobody_is_blocked true
#endif
byte record[INODES + 1] = DEAD;
byte alive_mask;
#ifdef READER
byte read_file = NONE;		/* that the reader has open, and locked for reading */
#define is_read_locked(i) (read_file == (i))
#else
#define is_read_locked(i) false
#endif
#ifdef INHERITABLE
byte inherits[PROCESSES];	/* what a new child has a copy of */
#endif
#ifdef CLOSING
byte remembers[PROCESSES];	/* the number of a lock file without its descriptor */
#endif
byte newcomer = NONE;		/* all others are dead, and stay so */
byte holders;			/* a bit each: those that hold */

#define me	       (_pid + 1)
#define my_bit	       (1 << _pid)
#define is_alive       (alive_mask & my_bit)
#define is_linked(i)   (path == (i) || takeover == (i))
#define is_free(i)     (opened[i] == 0 && !is_linked(i))
#define all_dead       (alive_mask == 0)

#ifdef STRANGER
#define namespace(r)   ((r) == PROCESSES || (r) == DEAD + 1)
#define dead_record    (DEAD + (me == PROCESSES))
#else
#define namespace(r)   0
#define dead_record    DEAD
#endif
#define is_comparable(r) (namespace(r) == namespace(me))
#define is_dead(r)     ((r) == DEAD || (r) == DEAD + 1)

/* nothing is left of what a number meant: the next file may have it */
inline forget(i)
{
	if
	:: is_free(i) -> record[i] = EMPTY
	:: else
	fi
}

/* of the descriptor with the kernel lock, of another */
inline close_lock(i)
{
	locked[i]--;
	opened[i]--;
	forget(i)
}

inline make(ret)
{
	ret = 1;
	do
	:: ret <= INODES && !is_free(ret) -> ret++
	:: else -> break
	od;
#ifdef CLOSING
	/* rather one that somebody remembers: then it can be mistaken */
	i = 0;
	do
	:: i < PROCESSES ->
		ret = (remembers[i] != NONE && is_free(remembers[i]) -> remembers[i] : ret);
		i++
	:: else -> break
	od;
	i = NONE;
#endif
	assert(ret <= INODES);
	record[ret] = EMPTY
}

inline make_candidate()
{
	make(candidate);
	opened[candidate] = 1;
	locked[candidate] = 1;
	record[candidate] = me;
	has_lock = true
}

inline drop_candidate()
{
	if
	:: candidate != NONE ->
		opened[candidate]--;
		locked[candidate] = locked[candidate] - has_lock;
		forget(candidate)
	:: else
	fi;
	has_lock = false;
	candidate = NONE
}

inline drop_other()
{
	if
	:: is_open ->
		opened[other]--;
		locked[other] = locked[other] - other_locked;
		clearing[other] = clearing[other] && !has_byte_1;
		forget(other)
	:: else
	fi;
	is_open = false;
	other_locked = 0;
	has_byte_1 = false;
	other = NONE
}

/* PATH is our file from now on */
inline hold()
{
	if
	:: purpose == ADOPT ->
		assert(holders & my_bit);	/* and so nobody else's */
		other = file;
		is_open = true;
		other_locked = 1
	:: else ->
		assert(holders == 0)
	fi;
	holders = my_bit;
	purpose = ACQUIRE;
	file = candidate;
	has_file = true;
	candidate = NONE;
	has_lock = false;
	has_right = false
}

inline replace_name()
{
	i = path;
	path = takeover;
	takeover = NONE;
	forget(i);
	i = NONE
}

/* What it finds at PATH: is that ours? */
inline unlink_own()
{
	assert(path == file && record[file] == me);
	holders = 0;
	i = path;
	path = NONE;
	forget(i);
	i = NONE
}

inline stop_holding()
{
	holders = holders & ~my_bit;
	if
	:: has_file -> close_lock(file)
	:: else
	fi;
	has_file = false;
#ifdef CLOSING
	remembers[_pid] = NONE;
#endif
	file = NONE
}

inline be_born()
{
#ifdef LIVES
	lives[_pid]++;
#endif
	alive_mask = alive_mask | my_bit
}

inline start_anew()
{
	drop_candidate();
	drop_other();
	stop_holding();
	has_right = false;
	was_locked = false;
	purpose = ACQUIRE;
	is_done = false;
	rounds = 0
}

/* The end of a process, at whatever step: the kernel closes all it has. */
inline die()
{
	start_anew();
	by_name = false;
	i = 1;
	do
	:: i <= INODES ->
		record[i] = (record[i] == me -> dead_record : record[i]);
		i++
	:: else -> break
	od;
	i = NONE;
	alive_mask = alive_mask & ~my_bit
}

#ifdef LEAKING
inline leak_one(what, locks)
{
	leaked[what] = leaked[what] | locks;
	opened[what]++;
	locked[what] = locked[what] + (locks & BYTE_0)
}

/* At its death: one copy of each of its descriptors lives on, with their locks. */
inline leak()
{
	has_leaked = true;
	if
	:: candidate != NONE && has_lock -> leak_one(candidate, BYTE_0)
	:: else
	fi;
	if
	:: has_file -> leak_one(file, BYTE_0)
	:: else
	fi;
	if
	:: is_open && has_byte_1 ->
		leak_one(other, (BYTE_1 | other_locked));
		has_leaked_byte_1 = true;
		has_byte_1 = false	/* it stays locked */
	:: else
	fi
}

inline end_leaks()
{
	i = 1;
	do
	:: i <= INODES && leaked[i] != 0 ->
		opened[i]--;
		locked[i] = locked[i] - (leaked[i] & BYTE_0);
		clearing[i] = clearing[i] && !(leaked[i] & BYTE_1);
		leaked[i] = 0;
		forget(i);
		i++
	:: i <= INODES && leaked[i] == 0 -> i++
	:: else -> break
	od;
	i = NONE;
	has_leaked = false;
	has_leaked_byte_1 = false
}
#endif

#ifdef INHERITABLE
#define stale_if_locked false
#else
#define stale_if_locked (is_dead(record[other]) && is_comparable(record[other]))
#endif
#ifdef HANDLES_UNKNOWN
#define is_former_image true	/* whose file it is */
#else
#define is_former_image (record[other] == me)
#endif
#define stale_if_not	(record[other] == EMPTY || record[other] >= LET_GO || \
			 is_former_image || !is_comparable(record[other]))
#define is_stale	(was_locked -> stale_if_locked : stale_if_not)

/* Of a leftover that somebody has locked: is that a leaked copy? */
#if defined(CLEARING_BY_BYTE_0)
#define is_maker_dead	false
#elif defined(CLEARING_BY_ANY_RECORD)
#define is_maker_dead	(is_dead(record[other]) || !is_comparable(record[other]))
#else
#define is_maker_dead	(is_dead(record[other]) && is_comparable(record[other]))
#endif

/* A process dies at any step, but a newcomer's way is to be seen to its end. */
#if defined(HANDLES)
#define OR_DIE
#elif defined(LEAKING)
#define OR_DIE	  :: d_step { newcomer == NONE -> die() }; goto end_dead \
		  :: d_step { newcomer == NONE && !has_leaked -> leak(); die() }; goto end_dead
#else
#define OR_DIE	  :: d_step { newcomer == NONE -> die() }; goto end_dead
#endif

/* A child is one of the processes, if that is dead. */
#define FORK(child) \
	:: d_step { has_file && newcomer == NONE && !(alive_mask & (1 << child)) && \
		    (holders & my_bit) -> \
		alive_mask = alive_mask | (1 << child); \
		holders = holders | (1 << child); \
		inherits[child] = file; \
		opened[file]++; \
		locked[file]++ \
	   }; goto holding

/* Is PATH our lock file?  Where the descriptor is gone, by the random number. */
#ifdef NO_RANDOM_NUMBER
#define is_ours	  (path == file)
#else
#define is_ours	  (path == file && (has_file || record[file] == me))
#endif

/* For a stranger a record without a lock is stale: whose descriptor is closed has lost it. */
#ifdef STRANGER
#define WEAKEN	  holders = holders & ~my_bit
#else
#define WEAKEN	  skip
#endif

/* May we change PATH? */
#ifdef LET_GO_WITHOUT_RIGHT
#define MAY_CHANGE (has_right || purpose == LEAVE)
#else
#define MAY_CHANGE has_right
#endif

/* Is PATH changed with the right only, to release it? */
#if defined(RELEASE_INHERITABLE_WITHOUT_RIGHT) || defined(RELEASE_CLOSED_WITHOUT_RIGHT)
#define BY_RIGHT false
#elif defined(INHERITABLE)
#define BY_RIGHT true
#else
#define BY_RIGHT (!has_file)
#endif

#ifdef RELEASE_WITHOUT_RECHECK
#define may_release true
#else
#define may_release is_ours
#endif
#ifdef ADOPT_WITHOUT_RECHECK
#define may_adopt true
#else
#define may_adopt is_ours
#endif

active [PROCESSES] proctype contender()
{
	byte file;		/* the lock file that we have, or inherited, */
	bool has_file;		/* and still a descriptor of */
	byte candidate;
	bool has_lock;		/* on the candidate */
	byte other;		/* a judged file, a leftover, a placeholder */
	bool is_open;
	byte other_locked;	/* the kernel lock of it that is ours */
	bool has_byte_1;	/* and the lock of those who clear */
	bool has_right;		/* the candidate is at PATH.takeover */
	bool was_locked;
	byte purpose;
	bool by_name;		/* no unnamed candidates here */
	bool is_done;		/* what the right was for */
	byte rounds;
	byte i;

end_dead:
	if
	:: d_step { newcomer == NONE && !is_alive && some_life_left -> be_born(); make_candidate() };
	   goto link_path
#ifdef NAMED
	:: d_step { newcomer == NONE && !is_alive && some_life_left -> be_born(); by_name = true };
	   goto judge
#endif
#ifdef INHERITABLE
	:: d_step { is_alive -> file = inherits[_pid]; inherits[_pid] = NONE; has_file = true };
	   goto heir
#endif
#ifdef LEAKING
	:: d_step { newcomer == NONE && has_leaked -> end_leaks() }; goto end_dead
#endif
	:: d_step { newcomer == NONE && all_dead && nobody_is_blocked ->
		newcomer = me;
		alive_mask = alive_mask | my_bit;
		make_candidate()
	   }; goto link_path
	fi;

	/* --- acquire --- */
link_path:
	if
	:: d_step { path == NONE -> path = candidate; hold() }; goto holding
	:: path != NONE -> goto judge
	/* if it could not be linked */
	:: d_step { newcomer == me -> drop_candidate(); by_name = true }; goto judge
	OR_DIE
	fi;

judge:
	if
	:: d_step { path == NONE && !MAY_CHANGE && !by_name ->
		if
		:: candidate == NONE -> make_candidate()
		:: else
		fi
	   }; goto link_path
	:: path == NONE && !MAY_CHANGE && by_name -> goto claim
	:: path == NONE && has_right && purpose == ACQUIRE -> goto publish
	:: path == NONE && MAY_CHANGE && purpose == LEAVE -> goto withdraw
	:: d_step { path != NONE ->
		other = path;
		is_open = true;
		opened[other]++;
		if
		:: newcomer == me && !has_right -> rounds++; assert(rounds <= ROUNDS)
		:: else
		fi
	   }; goto look
	OR_DIE
	fi;

look:
	if
#ifdef READ_LOCKS_COUNT
	:: d_step { true -> was_locked = locked[other] > 0 || is_read_locked(other) }; goto weigh
#else
	:: d_step { true -> was_locked = locked[other] > 0 }; goto weigh
#endif
	OR_DIE
	fi;

weigh:
	if
	:: d_step { !is_stale && !MAY_CHANGE -> assert(newcomer != me); drop_other(); was_locked = false }; goto judge
	:: d_step { !is_stale && MAY_CHANGE -> drop_other(); was_locked = false }; goto withdraw
#ifdef NO_RECHECK_UNDER_RIGHT
	:: d_step { is_stale && !MAY_CHANGE -> i = other; drop_other(); was_locked = false; other = i; i = NONE }; goto claim
#else
	:: d_step { is_stale && !MAY_CHANGE -> drop_other(); was_locked = false }; goto claim
#endif
#ifdef JUDGED_NOT_KEPT_OPEN
	:: d_step { is_stale && MAY_CHANGE -> i = other; drop_other(); was_locked = false; other = i; i = NONE }; goto compare
#else
	:: d_step { is_stale && MAY_CHANGE -> was_locked = false }; goto compare
#endif
	OR_DIE
	fi;

	/* --- the right to replace --- */
claim:
	if
	:: d_step { !by_name ->
		if
		:: candidate == NONE -> make_candidate()
		:: else
		fi
	   }; goto claim_by_link
	:: d_step { by_name && takeover == NONE ->
		make(candidate);
		opened[candidate] = 1;
		takeover = candidate
	   }; goto fill_named
#ifdef TAKEOVER_WITHOUT_EXCL
	:: d_step { by_name && takeover != NONE -> candidate = takeover; opened[candidate]++ };
	   goto lock_named
#else
	:: by_name && takeover != NONE -> goto open_leftover
#endif
	:: purpose != ACQUIRE -> goto give_up
	OR_DIE
	fi;

claim_by_link:
	if
	:: d_step { takeover == NONE -> takeover = candidate; has_right = true }; goto claimed
#ifdef TAKEOVER_WITHOUT_EXCL
	:: d_step { takeover != NONE -> i = takeover; takeover = candidate; forget(i); i = NONE; has_right = true };
	   goto claimed
#else
	:: takeover != NONE -> goto open_leftover
#endif
	OR_DIE
	fi;

fill_named:
	if
	:: d_step { true -> record[candidate] = me }; goto lock_named
	OR_DIE
	fi;

lock_named:
	if
	:: d_step { locked[candidate] == 0 -> locked[candidate] = 1; has_lock = true }; goto check_named
	/* somebody takes it for a leftover */
	:: d_step { locked[candidate] != 0 -> drop_candidate() }; goto claim_again
	OR_DIE
	fi;

check_named:
	if
#ifdef NO_NAME_CHECK
	:: d_step { true -> has_right = true }; goto claimed
#else
	:: d_step { takeover == candidate -> has_right = true }; goto claimed
	:: d_step { takeover != candidate -> drop_candidate() }; goto claim_again
#endif
	OR_DIE
	fi;

open_leftover:
	if
	:: takeover == NONE -> goto claim_again
	:: d_step { takeover != NONE -> other = takeover; is_open = true; opened[other]++ };
#ifdef CLEARING_WITHOUT_BYTE_1
	   goto lock_leftover
#else
	   goto lock_clearing
#endif
	OR_DIE
	fi;

lock_clearing:
	if
	:: d_step { !clearing[other] && !is_read_locked(other) -> clearing[other] = true; has_byte_1 = true };
#ifdef LEFTOVER_WITHOUT_LOCK
	   goto check_leftover
#else
	   goto lock_leftover
#endif
	:: d_step { clearing[other] || is_read_locked(other) -> assert(newcomer != me); drop_other() };
	   goto claim_again
	OR_DIE
	fi;

lock_leftover:
	if
	:: d_step { locked[other] == 0 -> locked[other] = 1; other_locked = 1 }; goto check_leftover
	:: locked[other] != 0 && is_maker_dead -> goto check_leftover
	:: locked[other] != 0 && !is_maker_dead -> assert(newcomer != me); goto close_leftover
	OR_DIE
	fi;

check_leftover:
	if
#ifdef LEFTOVER_NO_NAME_CHECK
	:: true -> goto unlink_leftover
#else
#ifdef CLOSE_BEFORE_UNLINK_OF_LEFTOVER
	:: d_step { takeover == other -> drop_other() }; goto unlink_leftover
#else
	:: takeover == other -> goto unlink_leftover
#endif
	:: takeover != other -> goto close_leftover
#endif
	OR_DIE
	fi;

unlink_leftover:
	if
	:: d_step { true -> i = takeover; takeover = NONE; forget(i); i = NONE }; goto close_leftover
	OR_DIE
	fi;

	/* its locks are unlocked first, and so those of leaked copies */
close_leftover:
	if
	:: d_step { true -> drop_other() }; goto claim_again
#ifdef BYTE_1_LEFT_LOCKED
	:: d_step { newcomer == NONE && has_byte_1 && !has_leaked ->
		has_leaked = true;
		leak_one(other, (BYTE_1 | other_locked));
		has_byte_1 = false;
		drop_other()
	   }; goto claim_again
#endif
	OR_DIE
	fi;

claim_again:
	if
	:: purpose == ACQUIRE -> goto judge
	:: else -> goto claim
	fi;

claimed:
	if
#ifdef NO_RECHECK_UNDER_RIGHT
	:: purpose == ACQUIRE && other == NONE -> goto publish
	:: purpose == ACQUIRE && other != NONE -> goto compare
#else
	:: purpose == ACQUIRE -> goto judge
#endif
	:: purpose != ACQUIRE -> goto check_again
	fi;

	/* --- with the right --- */
compare:
	if
#ifdef NO_PATH_LEADS_TO
	:: purpose == ACQUIRE -> goto rename
#else
	:: path == other && purpose == ACQUIRE -> goto rename
	:: d_step { path != other -> drop_other() }; goto withdraw
#endif
#ifdef INHERITABLE
	:: path == other && purpose == LEAVE -> goto unlink_stale
#endif
	OR_DIE
	fi;

rename:
	if
	:: d_step { takeover == candidate -> replace_name(); hold() }; goto close_other
	/* not to be: another's moves, or nothing */
	:: d_step { takeover != candidate && takeover != NONE -> assert(holders == 0); replace_name(); drop_other() };
	   goto arrived
	:: d_step { takeover == NONE -> drop_other() }; goto arrived
	OR_DIE
	fi;

arrived:
	if
	:: d_step { path == candidate -> hold() }; goto close_other
	:: path != candidate -> goto withdraw
	OR_DIE
	fi;

	/* an inherited copy; what was judged goes with the rename */
close_other:
	if
	:: d_step { other != NONE -> drop_other() }; goto holding
	:: other == NONE -> goto holding
	OR_DIE
	fi;

publish:
	if
#ifdef PLACEHOLDER
	:: d_step { path == NONE -> make(other); path = other }; goto compare_placeholder
#ifdef PLACEHOLDER_WITHOUT_EXCL
	:: d_step { path != NONE -> other = path }; goto compare_placeholder
#else
	:: path != NONE -> goto withdraw
#endif
#else
#ifdef LINK_OVER
	:: true -> goto rename
#else
	:: d_step { path == NONE && takeover != NONE -> path = takeover; takeover = NONE };
	   goto arrived
	:: path != NONE || takeover == NONE -> goto withdraw
#endif
#endif
	OR_DIE
	fi;

#ifdef PLACEHOLDER
compare_placeholder:
	if
	:: d_step { path == other -> other = NONE }; goto rename
	:: d_step { path != other -> other = NONE }; goto withdraw
	OR_DIE
	fi;
#endif

withdraw:
	if
#ifdef WITHDRAW_CLOSED
	:: d_step { takeover == candidate -> drop_candidate() }; goto unlink_candidate
#else
	:: takeover == candidate -> goto unlink_candidate
#endif
	:: takeover != candidate -> goto drop
	OR_DIE
	fi;

unlink_candidate:
	if
	:: d_step { true -> i = takeover; takeover = NONE; forget(i); i = NONE }; goto drop
	OR_DIE
	fi;

drop:
	if
	:: d_step { purpose == ACQUIRE -> drop_candidate(); has_right = false }; goto judge
	:: d_step { purpose != ACQUIRE -> drop_candidate(); has_right = false }; goto leave
	OR_DIE
	fi;

	/* --- release --- */
holding:
	if
	:: d_step { is_ours && BY_RIGHT -> purpose = RELEASE }; goto claim
#ifdef CLOSE_BEFORE_UNLINK
	:: d_step { is_ours && !BY_RIGHT -> has_file = false; close_lock(file) }; goto unlink_path
#else
	:: is_ours && !BY_RIGHT -> goto unlink_path
#endif
	:: !is_ours -> goto leave
#ifdef CLOSING
	:: d_step { has_file && newcomer == NONE -> has_file = false; WEAKEN; close_lock(file);
	   remembers[_pid] = file };
	   goto holding
#endif
#ifdef INHERITABLE
	FORK(0)
	FORK(1)
#if PROCESSES > 2
	FORK(2)
#endif
	:: d_step { newcomer == NONE -> purpose = LEAVE };
#ifdef LET_GO_WITHOUT_RIGHT
	   goto check_again
#else
	   goto claim
#endif
#endif
	OR_DIE
	fi;

check_again:
	if
	:: purpose == RELEASE && may_release -> goto unlink_path
	:: purpose == RELEASE && !may_release -> goto withdraw
	:: purpose == ADOPT && may_adopt -> goto rename
	:: purpose == ADOPT && !may_adopt -> goto withdraw
#ifdef INHERITABLE
	:: d_step { purpose == LEAVE -> is_done = !is_ours }; goto mark
#endif
	OR_DIE
	fi;

unlink_path:
	if
	:: d_step { has_right -> unlink_own() }; goto withdraw
	:: d_step { !has_right -> unlink_own() }; goto leave
	OR_DIE
	fi;

	/* all is done that had to be, or somebody keeps the right for too long */
give_up:
	if
	:: d_step { purpose == RELEASE -> drop_candidate(); purpose = ACQUIRE }; goto holding
#ifdef INHERITABLE
	:: d_step { purpose == ADOPT -> drop_candidate(); purpose = ACQUIRE }; goto heir
	:: d_step { purpose == LEAVE -> drop_candidate(); is_done = true }; goto mark
#endif
	OR_DIE
	fi;

leave:
	if
	/* once more, in the same life */
	:: d_step { newcomer == NONE && !by_name && some_life_left -> be_born(); start_anew(); make_candidate() };
	   goto link_path
	:: d_step { newcomer == NONE && by_name && some_life_left -> be_born(); start_anew() }; goto judge
	:: d_step { newcomer == me ->
		assert(path == NONE && (takeover == NONE || !by_name));
		assert(takeover == NONE || locked[takeover] == 0 || is_dead(record[takeover]))
	   }; goto end_newcomer
	OR_DIE
	fi;

end_newcomer:
	false;

	/* --- let go, adopt --- */
#ifdef INHERITABLE
mark:
	if
	:: d_step { has_file || is_ours -> record[file] = LET_GO }; goto let_go
	:: !(has_file || is_ours) -> goto let_go
	OR_DIE
	fi;

let_go:
	if
	:: d_step { is_done && has_right -> stop_holding() }; goto withdraw
	:: d_step { is_done && !has_right -> stop_holding() }; goto leave
	:: d_step { !is_done -> stop_holding() }; goto judge
	OR_DIE
	fi;

unlink_stale:
	if
	:: d_step { true ->
		assert(path == other && holders == 0);
		path = NONE;
		drop_other()
	   }; goto withdraw
	OR_DIE
	fi;

heir:
	if
	:: d_step { is_ours -> purpose = ADOPT }; goto claim
	:: !is_ours -> goto leave
	OR_DIE
	fi
#else
	skip
#endif
}

#ifdef READER
active proctype reader()
{
end:
	do
	:: d_step { read_file == NONE && path != NONE -> read_file = path; opened[read_file]++ }
#ifdef TAKEOVER_READABLE
	:: d_step { read_file == NONE && takeover != NONE -> read_file = takeover; opened[read_file]++ }
#endif
	:: d_step { read_file != NONE -> opened[read_file]--; forget(read_file); read_file = NONE }
	od
}
#endif

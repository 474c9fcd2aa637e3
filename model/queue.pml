/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The line of waiters, lib/queue.c and lib/wait.c, for the model checker spin
 * ===========================================================================
 *
 * PROCESSES processes lock and release PATH without limit, or retire, at any time
 * that they do not have it or want it.  Where it is not to be had they stand in
 * line.  check.sh runs this.
 *
 * One step is one system call that another process can notice.  The lock itself is
 * simple here, for lockfile.pml has shown that it is safe: who finds PATH free has
 * it; who finds it stale has the right to replace it, and then has it; meanwhile
 * it is busy for others.
 *
 * What the kernel does: a byte written to the FIFO is news for each that stands in
 * it, in the order of their coming, up to the first that sleeps, which is woken.
 * Who goes to sleep with such news, or is woken, and finds the FIFO empty sleeps on.
 *
 * Checked at every step: who removes the FIFO leaves nobody waiting in it.  Who
 * releases when all others have retired leaves no FIFO, nor do all together when
 * nobody dies.  Nobody is stuck: who waits while all others have retired, or wait as
 * well, is woken.  Without TIMERS that says that no wake-up is lost.
 *
 * What the processes are like:
 *	TIMERS		they look at PATH once in a while.  Without it only the short
 *			times end: those to look often, and to give others their turn
 *	CRASHES		they die at any step
 *	HOLDERS_DIE	they die while they hold
 *	BY_HAND		somebody removes the FIFO, once; who stands in it looks once
 *	STEADY		who holds keeps it until nobody else has anything to do
 *	PATIENT		nobody gives up
 *	TIMELY		no time ends before nobody has anything else to do, and who has
 *			released comes back at once, or retires.  Then nobody who has
 *			gone to sleep is overtaken more than OVERTAKEN times
 *	OUTSIDER	process 0 is of another user: it has no FIFO, looks often, and
 *			its release wakes nobody; the others look often while it holds
 *	EVENT_LOOPS	the program takes the events of a waiter before the library is
 *			called: only the bytes and the state of the holder are left
 *	SLOW		with TIMELY: so many yields end before a waiter that was woken
 *			goes on; the next one, which is longer, does not
 *	LEAKS		a child by clone(2) has copies of all descriptors: to close one
 *			gives no lock back, and the locks of a process that dies stay
 *	LIVENESS	nothing here; check.sh looks for a way on which, under weak
 *			fairness, nobody has the lock any more
 *
 * Does everybody get the lock?  Who stands in line is overtaken once at most if there
 * are two, however slow (TIMELY).  If there are three it can be more than six times,
 * and no bound is known: who was woken and is slow may find each time that others
 * were quicker.  For more than two only this is shown: nobody is stuck.  LIVENESS,
 * for two, shows that the lock is had again and again.
 *
 * A death of the holder is told at once (HOLDERS_DIE without TIMERS) where there are
 * two.  With three the first may watch another than the holder: one that is not the
 * first has got the lock, and then the look once a second has to find it (NO_TIMERS).
 *
 * What leaves out a guard (then a check must fail):
 *	NO_WAKE_UP		release: write no byte
 *	WAKE_UP_FIRST		write it before PATH is removed
 *	NO_LOOK_AFTER_JOIN	sleep as soon as in line
 *	NO_PASSING_ON		who gives up writes no byte
 *	NO_HANDING_ON		the first, who leaves with the lock, writes none
 *	NO_FIRST		nobody watches the holder
 *	REMOVE_WITHOUT_LOCK	remove the FIFO without the lock of its place byte
 *	REMOVE_WITHOUT_CHECK	and with it, but whatever the name leads to by now
 *	JOIN_WITHOUT_CHECK	do not look whether the name still leads to the FIFO
 *	JOIN_WITHOUT_LOCK	stand in it without the lock of the place byte
 *	UPGRADE			leave: try to get the lock for writing before letting go
 *	NO_FOLLOWING		stay in a FIFO that was removed
 *	NO_TURN			who has just released tries at once
 *	NO_TIMERS		nothing here: TIMERS are missing where they are needed
 *	NO_POLLING		who waits for another user's holder does not look often
 *	NO_POLLING_OUTSIDE	who has no FIFO does not look often
 *	NO_EXIT_CHECK		trust the event of the holder's exit alone
 *	NO_LONGER_YIELD		a yield that nobody took is followed by one as short
 *	NO_UNLOCK		leave: close the FIFO without giving its locks back
 *
 * Bounded: the processes; with CRASHES they are two.  Not modelled: a change of
 * directory, foreign lock files, the time without yields after one that nobody took,
 * and whether PATH has changed since it was looked at last, which only saves work.
 */
#ifndef PROCESSES
#define PROCESSES 2
#endif
#define FIFOS	  (PROCESSES + 1)
#define BYTES	  2		/* which may be more: to read one may leave as many */
#define NONE	  0

/* PATH: NONE, the number of its holder, 1 and up, or */
#define STALE	  9

/* who has the first byte of a FIFO: NONE, a process, or a copy that a dead one left */
#define GHOST	  8

/* how long to sleep */
#define AGAIN	  0		/* look once a second */
#define OFTEN	  1
#define TURN	  2

/* why one closes the FIFO */
#define GOT_IT	  0
#define GAVE_UP	  1
#define FOLLOWS	  2
#define RELEASED  3

byte path = NONE;
byte right = NONE;		/* who has the right to replace */
byte queue = NONE;		/* the inode that PATH.queue leads to */
byte waiting;			/* in line, a bit each */
byte retired;

/* of each FIFO */
byte bytes[FIFOS + 1];
byte standing[FIFOS + 1];	/* who has its place byte locked for reading, a bit each, */
byte sole[FIFOS + 1];		/* and for writing, */
byte first[FIFOS + 1];		/* who its first byte */
#ifdef LEAKS
bool ghost[FIFOS + 1];		/* a copy of a dead one's descriptor stands in it */
#define has_ghost(f) (ghost[f])
#else
#define has_ghost(f) (false)
#endif

/* of each process */
byte fifo[PROCESSES];		/* that it has open */
byte line[PROCESSES];		/* those who watch a FIFO, in the order of their coming */
byte watched[PROCESSES];	/* whose exit it is told */
bool exited[PROCESSES];		/* and that one is dead */
bool news[PROCESSES];		/* of a byte */
bool asleep[PROCESSES];
#ifdef BY_HAND
bool by_hand;
#endif
#ifdef TIMELY
byte overtaken[PROCESSES];
bool has_slept[PROCESSES];	/* since somebody got the lock */
#endif

#define me	     (_pid + 1)
#define my_bit	     (1 << _pid)
#define is_held	     (path != NONE && path != STALE)
#define is_busy	     (is_held || (path == STALE && right != NONE))
#define am_first     (first[fifo[_pid]] == me)
#define all_retired  (retired == (1 << PROCESSES) - 1)
#define is_alone     ((retired | my_bit) == (1 << PROCESSES) - 1)

#ifdef CRASHES
#define OR_DIE	  :: d_step { true -> die() }; goto rest
#else
#define OR_DIE
#endif

/* in the order of their coming */
inline leave_line()
{
	i = 0;
	do
	:: i < PROCESSES - 1 ->
		if
		:: line[i] == me -> line[i] = line[i + 1]; line[i + 1] = (line[i] -> me : NONE)
		:: else
		fi;
		i++
	:: else -> break
	od;
	line[i] = (line[i] == me -> NONE : line[i]);
	i = 0
}

inline join_line()
{
	i = 0;
	do
	:: line[i] != NONE -> i++
	:: else -> break
	od;
	line[i] = me;
	i = 0;
	news[_pid] = bytes[fifo[_pid]] > 0
}

inline write_byte(f)
{
	bytes[f] = (bytes[f] < BYTES -> bytes[f] + 1 : BYTES);
	i = 0;
	do
	:: i < PROCESSES && line[i] != NONE ->
		if
		:: fifo[line[i] - 1] == f ->
			news[line[i] - 1] = true;
			if
			:: asleep[line[i] - 1] -> asleep[line[i] - 1] = false; break
			:: else
			fi
		:: else
		fi;
		i++
	:: else -> break
	od;
	i = 0
}

inline unlock_all()
{
	waiting = waiting & ~my_bit;
	standing[fifo[_pid]] = standing[fifo[_pid]] & ~my_bit;
	first[fifo[_pid]] = (am_first -> NONE : first[fifo[_pid]]);
	sole[fifo[_pid]] = (sole[fifo[_pid]] == me -> NONE : sole[fifo[_pid]])
}

/* The last of a FIFO without a name to be closed is its end. */
inline close_fifo()
{
#ifdef LEAKS
	waiting = waiting & ~my_bit;
	haunt();
#endif
	unlock_all();
	leave_line();
	news[_pid] = false;
	watched[_pid] = NONE;
	exited[_pid] = false;
	j = fifo[_pid];
	fifo[_pid] = NONE;
	forget()
}

#ifdef LEAKS
/* What was not given back before is kept by the copy. */
inline haunt()
{
	ghost[fifo[_pid]] = ghost[fifo[_pid]] || (standing[fifo[_pid]] & my_bit) || sole[fifo[_pid]] == me;
	first[fifo[_pid]] = (am_first -> GHOST : first[fifo[_pid]]);
	ghost[NONE] = false;
	first[NONE] = NONE
}
#endif

inline forget()
{
	i = 0;
	do
	:: i < PROCESSES && fifo[i] != j -> i++
	:: else -> break
	od;
	bytes[j] = (i == PROCESSES && queue != j -> 0 : bytes[j]);
#ifdef LEAKS
	/* without a name it is nobody's business any more */
	ghost[j] = (queue == j -> ghost[j] : false);
	first[j] = (queue == j || first[j] != GHOST -> first[j] : NONE);
#endif
	i = 0;
	j = NONE
}

inline make_fifo()
{
	queue = 1;
	do
	:: i < PROCESSES ->
		if
		:: fifo[i] == queue -> queue++; i = 0
		:: else -> i++
		fi
	:: else -> break
	od;
	i = 0;
	assert(queue <= FIFOS && bytes[queue] == 0)
}

inline remove_fifo()
{
#ifndef BY_HAND
	do
	:: i < PROCESSES -> assert(fifo[i] != queue || !(waiting & (1 << i))); i++
	:: else -> break
	od;
	i = 0;
#endif
	j = queue;
	queue = NONE;
	forget()
}

/* It has exited: who watches it is told. */
inline exit()
{
	i = 0;
	do
	:: i < PROCESSES -> exited[i] = exited[i] || watched[i] == me; i++
	:: else -> break
	od;
	i = 0
}

inline die()
{
	close_fifo();
	exit();
	asleep[_pid] = false;
	path = (path == me -> STALE : path);
	right = (right == me -> NONE : right);
	start_anew()
}

inline start_anew()
{
	was_first = false;
	owes_turn = false;
	gives_turn = false;
	deferred = false;
	has_looked = false;
	alone = false;
	waits_for_outsider = false;
	pause = AGAIN;
	why = GOT_IT
#ifdef TIMELY
	;
	forget_overtaken()
#endif
}

inline go_to_sleep()
{
	asleep[_pid] = true;
#ifdef TIMELY
	has_slept[_pid] = true
#endif
}

inline forget_overtaken()
{
	overtaken[_pid] = 0;
	has_slept[_pid] = false
}

/* The lock is had: others, who are asleep in line, are overtaken. */
inline hold()
{
	path = me;
	right = NONE;
#ifdef TIMELY
	forget_overtaken();
	i = 0;
	do
	:: i < PROCESSES ->
		overtaken[i] = overtaken[i] + has_slept[i];
		has_slept[i] = asleep[i];
		assert(overtaken[i] <= OVERTAKEN);
		i++
	:: else -> break
	od;
	i = 0
#endif
}

#if defined(TIMELY) && defined(SLOW)
#define TIME	  (timeout || (gives_turn && missed < SLOW))
#elif defined(TIMELY)
#define TIME	  timeout
#elif defined(TIMERS)
#define TIME	  true
#elif defined(BY_HAND)
#define TIME	  (pause != AGAIN || (queue != fifo[_pid] && !has_looked))
#else
#define TIME	  (pause != AGAIN)
#endif

#ifdef TIMELY
#define END_WAIT  forget_overtaken()
#else
#define END_WAIT  skip
#endif

#ifdef STEADY
#define AT_LAST	  timeout
#else
#define AT_LAST	  true
#endif

#if defined(NO_PASSING_ON)
#define MUST_PASS_ON (why == GOT_IT && was_first)
#elif defined(NO_HANDING_ON)
#define MUST_PASS_ON (why == GAVE_UP || why == FOLLOWS)
#else
#define MUST_PASS_ON (why == GAVE_UP || why == FOLLOWS || was_first)
#endif

#define others_stand ((standing[fifo[_pid]] & ~my_bit) != 0)
#define is_deserted  (standing[fifo[_pid]] == 0 && sole[fifo[_pid]] == NONE && !has_ghost(fifo[_pid]))
#define is_woken     (exited[_pid] || (news[_pid] && bytes[fifo[_pid]] > 0))
#define is_for_the_first (path == NONE && !gives_turn && !deferred && !am_first)

#ifdef OUTSIDER
#define is_outsider    (_pid == 0)
#define is_of_another  (path == 1)
#else
#define is_outsider    (false)
#define is_of_another  (false)
#endif

/* Who gives up before still owes it. */
inline settle_turn()
{
#ifdef SLOW
#ifndef NO_LONGER_YIELD
	missed = (gives_turn && path == NONE && missed < SLOW -> missed + 1 : missed);
#endif
#endif
	owes_turn = false;
	gives_turn = false;
	pause = AGAIN
}

inline leave_behind()
{
	was_first = false;
	gives_turn = false;
	deferred = false;
	has_looked = false;
	alone = false;
	waits_for_outsider = false;
	pause = AGAIN;
	why = GOT_IT
}

active [PROCESSES] proctype contender()
{
	bool was_first;
	bool owes_turn;		/* who has just released, and seen others in line */
	bool gives_turn;
	bool deferred;
	bool has_looked;	/* at the name of the FIFO */
	bool alone;
	bool waits_for_outsider;
#ifdef SLOW
	byte missed;		/* yields, one after the other */
#endif
	byte pause;
	byte why;
	byte i, j;

rest:
	if
	:: d_step { true ->
		owes_turn = false;
		retired = retired | my_bit;
#ifndef CRASHES
		assert(!all_retired || queue == NONE)
#endif
	   }; goto end_retired
	:: !owes_turn -> goto try
#ifdef NO_TURN
	:: d_step { owes_turn -> owes_turn = false }; goto try
#else
	:: owes_turn -> goto join
#ifndef TIMELY
	:: d_step { owes_turn -> owes_turn = false }; goto try
#endif
#endif
#ifdef BY_HAND
	:: d_step { queue != NONE && !by_hand -> by_hand = true; j = queue; queue = NONE; forget() };
	   goto rest
#endif
	fi;

	/* --- the first attempt --- */
try:
	if
	:: d_step { path == NONE -> hold() }; goto holding
	:: d_step { path == STALE && right == NONE -> right = me }; goto replace
	:: is_busy -> goto join
	OR_DIE
	fi;

replace:
	if
	:: d_step { fifo[_pid] != NONE -> hold() }; goto leave
	:: d_step { fifo[_pid] == NONE -> hold() }; goto holding
	OR_DIE
	fi;

#ifdef OUTSIDER
	/* --- without a FIFO --- */
look_outside:
	if
#ifdef NO_POLLING_OUTSIDE
	:: false
#else
	:: true -> goto try
#endif
	OR_DIE
	fi;
#endif

	/* --- into line --- */
join:
	if
#ifdef OUTSIDER
	:: is_outsider -> goto look_outside
#endif
	:: queue == NONE && !is_outsider -> goto make
	:: d_step { queue != NONE && !is_outsider -> fifo[_pid] = queue };
#ifdef JOIN_WITHOUT_LOCK
	   goto check_place
#else
	   goto take_place
#endif
	OR_DIE
	fi;

make:
	if
	:: d_step { queue == NONE -> make_fifo() }; goto join
	:: queue != NONE -> goto join
	OR_DIE
	fi;

take_place:
	if
	:: d_step { sole[fifo[_pid]] == NONE ->
		standing[fifo[_pid]] = standing[fifo[_pid]] | my_bit
	   }; goto check_place
	:: d_step { sole[fifo[_pid]] != NONE -> close_fifo() }; goto join
	OR_DIE
	fi;

check_place:
	if
#ifdef JOIN_WITHOUT_CHECK
	:: d_step { true -> waiting = waiting | my_bit; join_line() }; goto in_place
#else
	:: d_step { queue == fifo[_pid] -> waiting = waiting | my_bit; join_line() }; goto in_place
	:: d_step { queue != fifo[_pid] -> close_fifo() }; goto join
#endif
	OR_DIE
	fi;

	/* what woke others before is no news */
in_place:
	if
	:: d_step { why == FOLLOWS -> why = GOT_IT }; goto look_at_path
	:: d_step { why != FOLLOWS && owes_turn && others_stand ->
		news[_pid] = false;
		gives_turn = true;
		pause = TURN
	   }; goto sleep
	:: d_step { why != FOLLOWS && !(owes_turn && others_stand) ->
		news[_pid] = false;
		owes_turn = false
	   };
#ifdef NO_LOOK_AFTER_JOIN
	   goto sleep
#else
	   goto attempt
#endif
	OR_DIE
	fi;

	/* --- in line --- */
attempt:
	if
	:: d_step { path == NONE -> settle_turn(); hold() }; goto leave
	:: d_step { path == STALE && right == NONE -> settle_turn(); right = me };
	   goto replace
	:: d_step { is_busy ->
		settle_turn();
		watched[_pid] = (is_held -> path : NONE);
		waits_for_outsider = is_of_another;
		exited[_pid] = false
	   }; goto watch
	OR_DIE
	fi;

	/* the first watches the holder, if that is known, and not dead by now */
watch:
	if
	:: d_step { true ->
#ifndef NO_FIRST
		first[fifo[_pid]] = (first[fifo[_pid]] == NONE -> me : first[fifo[_pid]]);
#endif
		if
		:: am_first && (exited[_pid] || watched[_pid] == NONE) -> pause = OFTEN
#if defined(OUTSIDER) && !defined(NO_POLLING)
		:: !(am_first && (exited[_pid] || watched[_pid] == NONE)) && waits_for_outsider -> pause = OFTEN
#endif
		:: else
		fi;
		watched[_pid] = (am_first && !exited[_pid] -> watched[_pid] : NONE);
		exited[_pid] = false
	   }; goto sleep
	OR_DIE
	fi;

sleep:
	if
	:: d_step { is_woken -> news[_pid] = false }; goto read
	:: d_step { !is_woken -> news[_pid] = false; go_to_sleep() }; goto sleeping
#ifndef PATIENT
	/* who gives up while asleep might as well not have gone to sleep */
	:: d_step { true -> why = GAVE_UP; END_WAIT }; goto leave
#endif
	OR_DIE
	fi;

sleeping:
	if
	:: !asleep[_pid] -> goto sleep
	:: d_step { asleep[_pid] && exited[_pid] -> asleep[_pid] = false }; goto sleep
	:: d_step { asleep[_pid] && !exited[_pid] && TIME -> asleep[_pid] = false }; goto look
	OR_DIE
	fi;

read:
	if
	:: d_step { bytes[fifo[_pid]] > 0 -> bytes[fifo[_pid]]-- }; goto attempt
	/* there were more */
	:: bytes[fifo[_pid]] == BYTES -> goto attempt
#ifdef EVENT_LOOPS
	/* the event is gone: has the holder exited? */
#ifdef NO_EXIT_CHECK
	:: d_step { bytes[fifo[_pid]] == 0 && exited[_pid] -> exited[_pid] = false }; goto sleep
#else
	:: bytes[fifo[_pid]] == 0 && exited[_pid] -> goto attempt
#endif
	:: bytes[fifo[_pid]] == 0 && !exited[_pid] -> goto sleep
#else
	:: bytes[fifo[_pid]] == 0 -> goto attempt
#endif
	OR_DIE
	fi;

	/* it is time: does the name still lead here? */
look:
	if
	:: queue == fifo[_pid] -> goto look_at_path
#ifdef NO_FOLLOWING
	:: d_step { queue != fifo[_pid] -> has_looked = true }; goto look_at_path
#else
	:: d_step { queue != fifo[_pid] -> why = FOLLOWS }; goto leave
#endif
	OR_DIE
	fi;

look_at_path:
	if
	:: d_step { is_for_the_first -> deferred = true; pause = TURN }; goto defer
	:: d_step { !is_for_the_first -> deferred = deferred && gives_turn }; goto attempt
	OR_DIE
	fi;

defer:
	if
	:: d_step { true -> write_byte(fifo[_pid]) }; goto sleep
	OR_DIE
	fi;

	/* --- out of line --- */
leave:
	if
#ifdef UPGRADE
	:: d_step { sole[fifo[_pid]] == NONE && !others_stand -> was_first = am_first; unlock_all(); sole[fifo[_pid]] = me };
	   goto check_name
	:: d_step { sole[fifo[_pid]] != NONE || others_stand -> was_first = am_first };
	   if
	   :: why != GOT_IT || was_first -> goto pass_on
	   :: else -> goto close
	   fi
#elif defined(NO_UNLOCK)
	:: d_step { true -> was_first = am_first }; goto lock_place
#else
	:: d_step { true -> was_first = am_first; unlock_all() }; goto lock_place
#endif
	OR_DIE
	fi;

	/* is nobody there? */
lock_place:
	if
#ifdef REMOVE_WITHOUT_LOCK
	:: is_deserted -> goto check_name
#else
	:: d_step { is_deserted -> sole[fifo[_pid]] = me }; goto check_name
#endif
	:: !is_deserted && MUST_PASS_ON -> goto pass_on
	:: d_step { !is_deserted && !MUST_PASS_ON -> owes_turn = (why == RELEASED) }; goto close
	OR_DIE
	fi;

check_name:
	if
#ifdef REMOVE_WITHOUT_CHECK
	:: queue != NONE -> goto remove
	:: queue == NONE -> goto close
#else
	:: queue == fifo[_pid] -> goto remove
	:: queue != fifo[_pid] -> goto unlock
#endif
	OR_DIE
	fi;

remove:
	if
	:: d_step { queue != NONE -> remove_fifo() }; goto unlock
	:: queue == NONE -> goto unlock
	OR_DIE
	fi;

	/* the copies of its descriptor keep nothing */
unlock:
	if
	:: d_step { true -> unlock_all() }; goto close
	OR_DIE
	fi;

pass_on:
	if
	:: d_step { true -> write_byte(fifo[_pid]) }; goto close
	OR_DIE
	fi;

close:
	if
	:: d_step { why == GOT_IT -> close_fifo(); leave_behind() }; goto holding
	:: d_step { why == FOLLOWS -> close_fifo(); was_first = false; has_looked = false }; goto join
	:: d_step { why == GAVE_UP -> close_fifo(); leave_behind() }; goto rest
	:: d_step { why == RELEASED -> assert(!alone || queue == NONE || has_ghost(queue)); close_fifo(); leave_behind() };
#ifdef WAKE_UP_FIRST
	   goto remove_path
#else
	   goto rest
#endif
	OR_DIE
	fi;

	/* --- release --- */
holding:
progress:
	if
#ifdef WAKE_UP_FIRST
	:: AT_LAST -> goto wake_up
#else
	:: d_step { AT_LAST -> assert(path == me); path = NONE; alone = is_alone }; goto wake_up
#endif
#ifdef HOLDERS_DIE
	:: d_step { AT_LAST -> die() }; goto rest
#endif
	OR_DIE
	fi;

wake_up:
	if
#ifdef WAKE_UP_FIRST
	:: queue == NONE -> goto remove_path
#else
	:: d_step { queue == NONE || is_outsider -> alone = false }; goto rest
#endif
	:: d_step { queue != NONE && !is_outsider -> fifo[_pid] = queue; why = RELEASED };
#ifdef NO_WAKE_UP
	   goto lock_place
#else
	   goto write
#endif
	OR_DIE
	fi;

write:
	if
	:: d_step { true -> write_byte(fifo[_pid]) }; goto lock_place
	OR_DIE
	fi;

#ifdef WAKE_UP_FIRST
remove_path:
	if
	:: d_step { true -> path = NONE }; goto rest
	OR_DIE
	fi;
#endif

end_retired:
	false
}

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Hosts that share a network file system, for the model checker spin
 * ===================================================================
 *
 * HOSTS hosts contend for one PATH, without end and without dying.  The server decides:
 * it does each call that changes a name or a kernel lock in one step.  But what a host
 * knows of PATH is a cache, which may be as old as it likes, until the host asks for the
 * attributes of the directory.  A file that is removed by one host ends, although
 * another has it open, and its inode number is given again.  Who asks for the attributes
 * of a file that it has open learns whether that has ended.  The server may forget the
 * kernel lock of a holder that it did not hear of for too long, and gives it back to a
 * holder that asks for it before another host has it.
 *
 * Kernel locks are those of all hosts, and the caller says so: a lock file without one is
 * stale.
 *
 * The cache misleads nobody here: the kernel lock decides.  It is refreshed for files that
 * are removed or moved by hand, which is not modelled.
 *
 * Checked: who removes PATH removes its own file; who replaces it replaces a file without
 * a kernel lock.
 *
 * What leaves out a guard (then a check must fail):
 *	NO_REFRESH_OF_OWN	release by the inode number of a file that has ended
 *	RELEASE_ALONE		without the takeover lock, if the server gives the lock back
 *	NO_TAKEOVER_LOCK	replace without it
 *
 * Not modelled: PATH.takeover that a dead host left (lockfile.pml), hosts that die, the
 * wait queue, results of calls that were sent twice.
 */
#ifndef HOSTS
#define HOSTS 2
#endif

#ifdef NO_REFRESH_OF_OWN
#define OWN_ENDED false
#else
#define OWN_ENDED own_ended[_pid]
#endif

#define FILES (HOSTS + 1) /* one for each host, and one that is free */
#define NONE  FILES

/* As the server has it. */
byte path = NONE;
bool exists[FILES];
bool locked[FILES];
bool takeover;     /* somebody has the takeover lock */

/* As the hosts have it. */
byte cached[HOSTS] = NONE; /* what PATH leads to */
byte own[HOSTS] = NONE;    /* its file, */
bool own_ended[HOSTS];     /* which the server has removed */
byte judged[HOSTS] = NONE; /* the file that is to be replaced */

byte other; /* for loops in one step */

inline make_file()
{
	atomic {
		select(file : 0 .. FILES - 1);
		!exists[file] ->
		exists[file] = true;
		locked[file] = true;
		own[_pid] = file;
		own_ended[_pid] = false;
		file = 0
	}
}

inline end_file(number)
{
	exists[number] = false;
	locked[number] = false;
	for (other : 0 .. HOSTS - 1) {
		own_ended[other] = own_ended[other] || own[other] == number
	}
	other = 0
}

/* The cache may be refreshed by itself at any time. */
inline look()
{
	if
	:: cached[_pid] = path
	:: skip
	fi
}

inline refresh()
{
	cached[_pid] = path
}

inline put_at_path()
{
	if
	:: path != NONE -> end_file(path)
	:: else
	fi;
	path = own[_pid];
	cached[_pid] = own[_pid]
}

inline remove_path()
{
	atomic {
		assert(path == own[_pid] && !own_ended[_pid]);
		end_file(path);
		path = NONE;
		cached[_pid] = NONE
	}
}

active [HOSTS] proctype host()
{
	byte file;

prepare:
	make_file();

contend:
	if
	:: atomic { path == NONE -> put_at_path() }
		goto holds
	:: path != NONE
	fi;
	look();
	if
	:: cached[_pid] == NONE || locked[cached[_pid]] -> goto contend
	:: else
	fi;

	/* It looks stale. */
#ifndef NO_TAKEOVER_LOCK
	atomic { !takeover -> takeover = true }
#endif
	look();
	atomic {
		if
		:: cached[_pid] == NONE || locked[cached[_pid]] || !exists[cached[_pid]] ->
			takeover = false;
			goto contend
		:: else -> judged[_pid] = cached[_pid]
		fi
	}
	refresh();
	if
	:: cached[_pid] != judged[_pid] -> goto busy
	:: else
	fi;
	atomic {
		assert(path == NONE || !locked[path]);
		judged[_pid] = NONE;
		put_at_path();
		takeover = false
	}

holds:
	skip;

	/* Release. */
	refresh();
	if
	:: cached[_pid] != own[_pid] -> goto lost
	:: else
	fi;
#ifdef RELEASE_ALONE
	if
	:: own_ended[_pid] -> goto lost
	:: !own_ended[_pid] -> locked[own[_pid]] = true
	fi;
	remove_path();
#else
	atomic { !takeover -> takeover = true }
	refresh();
	if
	:: cached[_pid] != own[_pid] || OWN_ENDED -> skip
	:: else -> remove_path()
	fi;
	takeover = false;
#endif

lost:
	atomic {
		own[_pid] = NONE;
		own_ended[_pid] = false
	}
	goto prepare;

busy:
	atomic {
		judged[_pid] = NONE;
		takeover = false
	}
	goto contend
}

/* It forgets the lock of a holder. */
active proctype server()
{
	do
	:: atomic { path != NONE && locked[path] -> locked[path] = false }
	od
}

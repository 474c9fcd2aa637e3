/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "scene.h"

#include "bench.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* The stage */

/* Whoever contends may write there. */
void scene_set(struct scene *scene, const struct peer *peer, const char *dir)
{
	*scene = (struct scene){ .peer = peer };
	bench_path(scene->path, sizeof(scene->path), dir, ".behaviour");
	if (mkdir(scene->path, 0777) < 0 || chmod(scene->path, 0777) < 0)
		fail(scene->path, "mkdir", strerror(errno));
	strcat(scene->path, "/lock.lock");
}

static void remove_directory_of(const char *path)
{
	char name[PATH_MAX];
	struct dirent *entry;
	DIR *dir;

	snprintf(name, sizeof(name), "%s", path);
	*strrchr(name, '/') = '\0';
	dir = opendir(name);
	while (dir && (entry = readdir(dir)) != NULL)
		unlinkat(dirfd(dir), entry->d_name, 0);
	if (!dir || closedir(dir) < 0 || rmdir(name) < 0)
		fail(name, "rmdir", strerror(errno));
}

static void dismiss(struct actor *actor)
{
	if (actor->pid > 0)
		kill(actor->pid, SIGKILL);
	actor_forget(actor);
}

/* Children of actors are ours by then. */
void scene_strike(struct scene *scene)
{
	dismiss(&scene->holder);
	dismiss(&scene->contender);
	if (scene->idler > 0)
		kill(scene->idler, SIGKILL);
	while (wait(NULL) > 0)
		;
	remove_directory_of(scene->path);
}

/* What is seen */

void scene_answer(struct scene *scene, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(scene->answer, sizeof(scene->answer), format, arguments);
	va_end(arguments);
}

static bool start(struct scene *scene, struct actor *actor, const struct place *place)
{
	int error = actor_start(actor, place, scene->peer, scene->path);

	if (error != 0)
		scene_answer(scene, "not tried: %s", strerror(error));
	return error == 0;
}

static void answer_by_error(struct scene *scene, const char *said)
{
	const char *answer = strstr(said, ANSWER);

	if (answer)
		scene_answer(scene, "%s", answer + strlen(ANSWER));
	else
		scene_answer(scene, "error: %s", said);
}

bool scene_told(struct scene *scene, struct actor *actor, enum word word, char *ret)
{
	*ret = actor_tell(actor, word);
	if (*ret == '\0')
		answer_by_error(scene, actor_error(actor));
	return *ret != '\0';
}

bool scene_hold(struct scene *scene, const struct place *place)
{
	char had;

	if (!start(scene, &scene->holder, place) || !scene_told(scene, &scene->holder, TRY, &had))
		return false;
	if (had != 'y')
		scene_answer(scene, "not tried: a free lock is not had");
	return had == 'y';
}

/* Who contends */

static bool try(struct scene *scene, char *ret)
{
	return scene_told(scene, &scene->contender, TRY, ret);
}

void scene_judge(struct scene *scene, const struct place *place, const char *free, const char *busy)
{
	char had;

	if (start(scene, &scene->contender, place) && try(scene, &had))
		scene_answer(scene, "%s", had == 'y' ? free : busy);
}

/* Not the time of access, which may be what is the present for who looks. */
static void make_old(const struct scene *scene, time_t age)
{
	struct timespec times[2] = { { .tv_nsec = UTIME_OMIT } };

	times[1].tv_sec = time(NULL) - age;
	if (utimensat(AT_FDCWD, scene->path, times, AT_SYMLINK_NOFOLLOW) < 0)
		fail(scene->path, "utimensat", strerror(errno));
}

static void try_with_older(struct scene *scene)
{
	static const int ages_s[] = { 60, 300, 600, 3600, 86400, 31536000 };
	char had;

	scene_answer(scene, "blocked for ever");
	for (size_t i = 0; i < COUNT(ages_s); i++) {
		make_old(scene, ages_s[i] + 1);
		if (!try(scene, &had))
			return;
		if (had == 'y') {
			scene_answer(scene, "blocked until %d s old", ages_s[i]);
			return;
		}
	}
}

void scene_succeed(struct scene *scene, const struct place *place, void (*clear)(struct scene *),
                   const char *obstacle)
{
	char had;

	if (!start(scene, &scene->contender, place) || !try(scene, &had))
		return;
	if (had != 'y' && clear) {
		clear(scene);
		if (!try(scene, &had))
			return;
		if (had == 'y') {
			scene_answer(scene, "blocked by the %s", obstacle);
			return;
		}
	}
	if (had == 'y')
		scene_answer(scene, "taken over");
	else
		try_with_older(scene);
}

/*
 * ---- named points for tests of races and deaths, in builds with -Ddebug_points=true only
 *
 * A process that comes to a point stops there while the data directory has a file of its name: an empty one holds it
 * until the file is gone, or is another; "error", "fatal" or "kill" in it say how the process ends here. Never under
 * the registry's lock.
 */
#ifdef PG_BACKGROUND_DEBUG_POINTS
static bool
read_point(const char *path, char *what, size_t size)
{
	FILE	   *file = fopen(path, "r");

	if (file == NULL)
		return false;
	what[fread(what, 1, size - 1, file)] = '\0';
	fclose(file);
	return true;
}

static void
debug_point(const char *name)
{
	char		path[MAXPGPATH];
	char		what[16];

	snprintf(path, sizeof(path), "pg_background_point_%s", name);
	if (!read_point(path, what, sizeof(what)))
		return;
	ereport(LOG, errmsg_internal("at debug point %s%s%s", name, what[0] ? ": " : "", what), errhidestmt(true));
	while (what[0] == '\0' && read_point(path, what, sizeof(what)))
		pg_usleep(1000);
	if (strcmp(what, "error") == 0)
		ereport(ERROR, errmsg_internal("error at debug point %s", name));
	if (strcmp(what, "fatal") == 0)
		ereport(FATAL, errmsg_internal("fatal error at debug point %s", name));
	if (strcmp(what, "kill") == 0)
		kill(MyProcPid, SIGKILL);
}
#else
#define debug_point(name) ((void) 0)
#endif

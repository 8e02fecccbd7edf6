/*
 * ---- named points for tests of races and deaths, in builds with -Ddebug_points=true only
 *
 * A process that comes to a point stops there while the data directory has a file of its name: an empty one holds it
 * until the file is gone; "error", "fatal" or "kill" in it say how the process ends here. Never under the registry's
 * lock.
 */
#ifdef PG_BACKGROUND_DEBUG_POINTS
static void
debug_point(const char *name)
{
	char		path[MAXPGPATH];
	char		what[16];
	FILE	   *file;

	snprintf(path, sizeof(path), "pg_background_point_%s", name);
	if ((file = fopen(path, "r")) == NULL)
		return;
	what[fread(what, 1, sizeof(what) - 1, file)] = '\0';
	fclose(file);
	ereport(LOG, errmsg_internal("at debug point %s%s%s", name, what[0] ? ": " : "", what), errhidestmt(true));
	if (strcmp(what, "error") == 0)
		ereport(ERROR, errmsg_internal("error at debug point %s", name));
	if (strcmp(what, "fatal") == 0)
		ereport(FATAL, errmsg_internal("fatal error at debug point %s", name));
	if (strcmp(what, "kill") == 0)
		kill(MyProcPid, SIGKILL);
	while (access(path, F_OK) == 0)
		pg_usleep(1000);
}
#else
#define debug_point(name) ((void) 0)
#endif

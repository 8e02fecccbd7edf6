"""What the commands exit with, so that scripts can tell what happened."""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    """Exit codes of all commands that talk to a server."""

    OK = 0
    #: the job ended with an error, was canceled, or its process died; or a command has its own reason
    FAILED = 1
    #: of the command line; nothing was done
    USAGE = 2
    #: there is none, or it broke
    CONNECTION = 3
    #: of the job, which has ended, or of the wait, whose job goes on
    TIMEOUT = 4
    #: the server does not know the job
    UNKNOWN = 5
    #: the server would not: no privilege, a limit, no extension
    REFUSED = 6
    #: by Ctrl-C; by another signal it is 128 and the signal's number
    INTERRUPTED = 130
    #: whoever read the output has gone: 128 and the number of SIGPIPE, of which psql dies
    PIPE = 141

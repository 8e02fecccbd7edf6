# Whose code runs when a result is read. Types are the work of people: a cast, a domain's CHECK, the input function of
# what holds such domains may run anybody's code, and whoever makes a job return such a type would have it run in the
# session, and with the rights, of whoever reads the result.
#
# None of it runs, not as anybody. A value of a domain comes as it is where the domain's constraints are those that it
# has passed in the job, and else as what it is based on, or as text. What is left is the server's own code; output
# functions, which are C, as no other language gives a cstring, and so no work of others than superusers; and single
# functions that belong to superusers. What is judged is the very function that is called, at the time of the call:
# looked up again by a type or name, it might be another one.

cdef inline bint may_run(Oid function) noexcept nogil:
    """Whether the function is a superuser's, now."""
    return superuser_arg(function_owner(function))

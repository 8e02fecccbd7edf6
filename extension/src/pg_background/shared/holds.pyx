# What a call holds in the registry and has to give back however it ends: by success, by an error, or with its process.
#
# It is a stack, as calls lie in one another: a function that runs while a result is read may launch, read, wait and run
# itself. Each hold lies in a C frame: that of the caller of run_guarded, as those of the body are gone after an error.
# When a process exits, its frames are still there.

cdef struct Hold:
    Hold *outer
    void (*give_back)(void *what) noexcept nogil        # never raises
    void *what


cdef Hold *my_holds                 # the innermost one


cdef void take_hold(Hold *hold, void (*give_back)(void *what) noexcept nogil, void *what) noexcept nogil:
    """In the body of run_guarded, where it must lie in what the body was given, or right before that."""
    global my_holds
    hold.give_back = give_back
    hold.what = what
    hold.outer = my_holds
    my_holds = hold


cdef void drop_hold(Hold *hold) noexcept nogil:
    """Forget the innermost one, which has been handed over to somebody else."""
    global my_holds
    my_holds = hold.outer


cdef void release_holds(Hold *outer) noexcept nogil:
    """Give back all that was taken since this one was the innermost, the last first."""
    global my_holds
    cdef Hold *hold
    while my_holds != outer:
        hold = my_holds
        my_holds = hold.outer
        hold.give_back(hold.what)


cdef void run_guarded(catch_body body, void *arg, Hold *outer) noexcept nogil:
    """Run body(arg), give back what was taken since `outer` was the innermost hold, and raise the body's error."""
    cdef ErrorData *error = catch_error(body, arg, False)
    ConditionVariableCancelSleep()
    release_holds(outer)
    if error != NULL:
        ReThrowError(error)

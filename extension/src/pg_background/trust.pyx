# Whose code runs when a result is read. Types are the work of people: a cast, a domain's CHECK, a function in it may be
# anybody's, and whoever makes a job return such a type would have it run with the rights of whoever reads the result.
#
# So each piece of code has its author: a function its owner, the expression of a CHECK the domain's owner. What is a
# superuser's or the reader's own runs as the reader, as it would in the reader's session. What is somebody else's runs
# as that role, as maintenance commands run the functions of an index: security-restricted, under a search_path that
# nobody can put a look-alike into, and with its settings taken back. A third way, to run none of it, would leave the
# promises of a domain unchecked, or the tables of an application's owner unreadable to the application.
#
# Immutable functions of trusted owners do nothing but compute: a CHECK of those alone runs as the reader, whoever owns
# the domain.

cdef struct Guard:
    Oid user
    int context
    int settings                # nest level

cdef struct Author:
    Oid suspect                 # owner of the first function that is nobody's whom the reader trusts


cdef bint is_trusted(Oid owner) noexcept nogil:
    return owner == GetUserId() or superuser_arg(owner)


cdef Oid suspect_of_function(Oid function) noexcept nogil:
    """The owner, or InvalidOid where the reader may run it, or there is none."""
    cdef Oid owner = function_owner(function)
    return InvalidOid if owner == InvalidOid or is_trusted(owner) else owner


cdef bint may_use_cast(Oid type) noexcept nogil:
    """Whether JSON of this type is made by a cast, and the reader may run its function."""
    cdef Oid function = cast_to_json(type)
    return function != InvalidOid and suspect_of_function(function) == InvalidOid


cdef bint is_cast_refused(Oid type) noexcept nogil:
    """Whether the server would make JSON of this type by a cast that is not to be trusted."""
    cdef Oid function = cast_to_json(type)
    return function != InvalidOid and suspect_of_function(function) != InvalidOid


cdef cbool look_at_function(Oid function, void *arg) noexcept nogil:
    cdef Author *author = <Author *>arg
    author.suspect = suspect_of_function(function)
    return author.suspect != InvalidOid


cdef cbool look_at_node(Node *node, void *arg) noexcept nogil:
    """Stop at the first suspect."""
    cdef Author *author = <Author *>arg
    cdef Shape shape
    if node == NULL:
        return False
    if check_functions_in_node(node, look_at_function, arg):
        return True
    if is_domain_coercion(node) and find_shape(&shape, expression_type(node), -1, False):
        author.suspect = suspect_of_shape(&shape)
        if author.suspect != InvalidOid:
            return True
    return expression_tree_walker(node, look_at_node, arg)


cdef Oid user_for_check(Oid domain_owner, Node *check) noexcept nogil:
    """As whom to evaluate a CHECK; InvalidOid: as the reader."""
    cdef Author author
    author.suspect = InvalidOid
    look_at_node(check, &author)
    if is_trusted(domain_owner):
        return author.suspect
    if author.suspect == InvalidOid and not contain_mutable_functions(check):
        return InvalidOid
    return domain_owner


cdef Oid suspect_of_domain(Oid domain) noexcept nogil:
    """Of the checks of this level."""
    cdef TypeFacts facts
    cdef char **names = NULL
    cdef Node **checks = NULL
    cdef Oid user
    cdef int i
    if not get_type_facts(domain, &facts):
        return InvalidOid
    for i in range(domain_checks(domain, &names, &checks)):
        user = user_for_check(facts.owner, checks[i])
        if user != InvalidOid:
            return user
    return InvalidOid


cdef Oid suspect_of_shape(Shape *shape) noexcept nogil:
    """As whom to run the type's input function, and all that it calls in turn; InvalidOid: as the reader."""
    cdef Oid user = InvalidOid
    cdef Oid canonical = InvalidOid
    cdef Oid comparison = InvalidOid
    cdef int i
    check_stack_depth()
    if shape.kind == SHAPE_DOMAIN:
        user = suspect_of_domain(shape.type)
    elif shape.kind == SHAPE_WRITTEN and get_typtype(shape.type) == c'r':
        range_functions(shape.type, &canonical, &comparison)
        user = suspect_of_function(canonical)
        if user == InvalidOid:
            user = suspect_of_function(comparison)
    i = 0
    while user == InvalidOid and i < shape.count:
        user = suspect_of_shape(&shape.parts[i])
        i += 1
    return user


cdef void run_as(Oid user, Guard *guard) noexcept nogil:
    """Be this role until stop_running_as; an error leaves that to read_result and to the transaction's end."""
    GetUserIdAndSecContext(&guard.user, &guard.context)
    guard.settings = NewGUCNestLevel()
    SetUserIdAndSecContext(user, guard.context | SECURITY_LOCAL_USERID_CHANGE | SECURITY_RESTRICTED_OPERATION)
    set_for_now("search_path", "pg_catalog, pg_temp")


cdef void stop_running_as(Guard *guard) noexcept nogil:
    AtEOXact_GUC(False, guard.settings)
    SetUserIdAndSecContext(guard.user, guard.context)


cdef int begin_stable_form() noexcept nogil:
    """Settings under which text that one process writes is read by another as the same value."""
    cdef int level = NewGUCNestLevel()
    set_for_now("datestyle", "ISO")
    set_for_now("intervalstyle", "postgres")
    set_for_now("extra_float_digits", "1")
    set_for_now("bytea_output", "hex")
    set_for_now("lc_monetary", "C")
    set_for_now("search_path", "pg_catalog")
    return level


# ---- the checks of one level of a domain

cdef struct DomainChecks:
    Oid domain
    bint not_null
    int count
    char **names
    Node **checks
    Oid *users                  # per check, InvalidOid: as the reader
    ExprState **states          # prepared when the first value comes: preparing runs functions too


cdef DomainChecks *load_checks(Oid domain) noexcept nogil:
    """In the current memory context, where the expressions are prepared too."""
    cdef DomainChecks *checks = <DomainChecks *>palloc0(sizeof(DomainChecks))
    cdef TypeFacts facts
    cdef int i
    checks.domain = domain
    if not get_type_facts(domain, &facts):
        raise_error(ERRCODE_UNDEFINED_OBJECT, b"type with OID %u does not exist", domain)
    checks.not_null = facts.not_null
    checks.count = domain_checks(domain, &checks.names, &checks.checks)
    checks.users = <Oid *>palloc0(sizeof(Oid) * (checks.count + 1))
    checks.states = <ExprState **>palloc0(sizeof(ExprState *) * (checks.count + 1))
    for i in range(checks.count):
        checks.users[i] = user_for_check(facts.owner, checks.checks[i])
    return checks


cdef void check_value(DomainChecks *checks, ExprContext *context, Datum value, bint is_null) noexcept nogil:
    """Raise 23502 or 23514 where the value is not of the domain."""
    cdef Guard guard
    cdef MemoryContext old
    cdef Datum holds
    cdef cbool unknown = False
    cdef int i
    if checks.not_null and is_null:
        raise_domain_null(checks.domain)
    for i in range(checks.count):
        if checks.users[i] != InvalidOid:
            run_as(checks.users[i], &guard)
        if checks.states[i] == NULL:
            old = MemoryContextSwitchTo(per_query_memory_of(context))
            checks.states[i] = prepare_expression(checks.checks[i])
            MemoryContextSwitchTo(old)
        holds = evaluate(checks.states[i], context, value, is_null, &unknown)
        if checks.users[i] != InvalidOid:
            stop_running_as(&guard)
        if not unknown and not DatumGetBool(holds):
            raise_domain_check(checks.domain, checks.names[i])

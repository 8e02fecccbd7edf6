/*
 * ---- who a worker's log lines are about
 *
 * The server takes role, database and client of a log line (%u, %d, %h, %r and the columns of csvlog and jsonlog) from
 * MyProcPort, and prints %a and what follows %q only where there is one. A background worker has none, and no hook can
 * give them another source: emit_log_hook must not change the message. So a worker has one of its own. What else the
 * server does with a Port, on 14 to 18:
 *
 * - the functions of the protocol read and write its socket: ours (output/stream_write.pyx) replace them, and COPY is refused;
 * - the settings tcp_keepalives_... and tcp_user_timeout are set on the socket unless laddr is a Unix socket: so it is;
 * - client_connection_check_interval is armed by the loop that reads a session's commands only;
 * - statistics of the connection are taken as the process connects, before it is set, and start-up options then too;
 * - SSL, GSSAPI, SCRAM keys: sslinfo, dblink and postgres_fdw look for them, and find that there are none. Without a
 *   Port, sslinfo ends the server;
 * - inet_client_addr() gives raddr: that of the launching session's client, as in a function that the session calls.
 *
 * The header needs those of GSSAPI and OpenSSL where the server was built with them. What they are for stands at the
 * end of the struct, where nothing of ours is; the allocation is large enough for it.
 */
#pragma push_macro("ENABLE_GSS")
#pragma push_macro("USE_OPENSSL")
#undef ENABLE_GSS
#undef USE_OPENSSL
#include "libpq/libpq-be.h"
#pragma pop_macro("USE_OPENSSL")
#pragma pop_macro("ENABLE_GSS")

#include "common/ip.h"

#include <netdb.h>

/* Give this worker a Port. The names live as long as the process. */
static inline void
make_port(char *role, char *database)
{
	Port	   *port = MemoryContextAllocZero(TopMemoryContext, sizeof(Port) + 1024);

	port->sock = PGINVALID_SOCKET;
	port->laddr.addr.ss_family = AF_UNIX;
	port->user_name = role;
	port->database_name = database;
	port->remote_host = MemoryContextAllocZero(TopMemoryContext, NI_MAXHOST);
	port->remote_port = MemoryContextAllocZero(TopMemoryContext, NI_MAXSERV);
	MyProcPort = port;
}

/* The address of this session's client; of family 0 where it has none. */
static inline void
copy_client_address(SockAddr *address)
{
	if (MyProcPort != NULL)
		memcpy(address, &MyProcPort->raddr, sizeof(SockAddr));
	else
		memset(address, 0, sizeof(SockAddr));
}

/* Make it the client of this worker; NULL: none. */
static inline void
show_client(const SockAddr *address)
{
	Port	   *port = MyProcPort;

	if (address == NULL)
		memset(&port->raddr, 0, sizeof(SockAddr));
	else if (memcmp(&port->raddr, address, sizeof(SockAddr)) == 0)
		return;
	else
		memcpy(&port->raddr, address, sizeof(SockAddr));
	port->remote_host[0] = port->remote_port[0] = '\0';
	if (port->raddr.addr.ss_family != 0 &&
		pg_getnameinfo_all(&port->raddr.addr, port->raddr.salen, port->remote_host, NI_MAXHOST,
						   port->remote_port, NI_MAXSERV, NI_NUMERICHOST | NI_NUMERICSERV) != 0)
		port->remote_host[0] = port->remote_port[0] = '\0';
}

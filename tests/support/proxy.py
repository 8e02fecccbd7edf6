"""A proxy in front of a server that delays what it passes on, splits it, and cuts connections at any byte."""

from __future__ import annotations

import random
import socket
import struct
import threading
import time
from collections import Counter
from contextlib import suppress

#: The most that is read at once.
_CHUNK = 1 << 16

#: So a close becomes a reset: what was sent and not taken is thrown away, as when a machine goes.
_RESET = struct.pack("ii", 1, 0)


class Trouble:
    """What becomes of one connection, drawn when it begins."""

    def __init__(self, chance: random.Random) -> None:
        #: bytes from client and from server until it is cut; a session's first few come soon, its later ones
        #: may be far away
        self.cut_after = {
            "client": int(10 ** chance.uniform(0, 5.5)),
            "server": int(10 ** chance.uniform(0, 6)),
        }
        self.resets = chance.random() < 0.5
        self.splits = chance.random() < 0.3
        self.delays = chance.random() < 0.3
        self.chance = chance


class Proxy:
    """Listens on a TCP port of its own, and leads each connection to the server with some trouble."""

    def __init__(self, address: str, chance: random.Random) -> None:
        """
        Args:
            address: the server's Unix socket.
        """
        self._address = address
        self._chance = chance
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        #: connections, cuts by the side whose bytes were cut short, and pieces
        self.done: Counter[str] = Counter()
        #: whether new connections have trouble
        self.troubles = True
        self._open: set[socket.socket] = set()
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def cuts(self) -> int:
        """How many connections it has cut."""
        return self.done["cut: client"] + self.done["cut: server"]

    def close(self) -> None:
        """Cut all, and listen no more."""
        # A close alone does not wake a thread that waits for a connection.
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for end in tuple(self._open):
            self._cut(end)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            server = socket.socket(socket.AF_UNIX)
            try:
                server.connect(self._address)
            except OSError:
                client.close()
                server.close()
                continue
            self.done["connections"] += 1
            self._open |= {client, server}
            trouble = Trouble(random.Random(self._chance.random())) if self.troubles else None
            for side, source, target in (("client", client, server), ("server", server, client)):
                threading.Thread(target=self._pump, args=(side, source, target, trouble), daemon=True).start()

    def _pump(self, side: str, source: socket.socket, target: socket.socket, trouble: Trouble | None) -> None:
        """Pass on what one side sends, until it ends or is cut."""
        passed = 0
        # The other direction may have closed them.
        with suppress(OSError):
            while data := source.recv(_CHUNK):
                if trouble is not None and passed + len(data) >= trouble.cut_after[side]:
                    target.sendall(data[: trouble.cut_after[side] - passed])
                    self.done[f"cut: {side}"] += 1
                    if trouble.resets:
                        source.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                    break
                passed += len(data)
                self._send(target, data, trouble)
        self._cut(source)
        self._cut(target)

    def _send(self, target: socket.socket, data: bytes, trouble: Trouble | None) -> None:
        if trouble is not None and trouble.delays:
            self.done["delays"] += 1
            time.sleep(trouble.chance.uniform(0, 0.005))
        if trouble is None or not trouble.splits:
            target.sendall(data)
            return
        while data:
            size = trouble.chance.choice([1, 2, 3, 5, 100, 5000])
            target.sendall(data[:size])
            data = data[size:]
            self.done["pieces"] += 1

    def _cut(self, end: socket.socket) -> None:
        # First so that a thread that waits for it is woken.
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
        end.close()
        self._open.discard(end)

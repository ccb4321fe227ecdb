"""Real services and real connections to them."""

import errno
import selectors
import socket
import threading

from harness import PATIENCE

OPEN, CLOSED, SILENT = "open", "closed", "silent"
GREETING = b"hello\n"


class Service:
    """A TCP service in a namespace, for both families: greets, then sends back what comes. Ends with stop()."""

    def __init__(self, namespace, *ports):
        self._selector = selectors.DefaultSelector()
        self._wake, wake_end = socket.socketpair()
        self._selector.register(wake_end, selectors.EVENT_READ, None)
        with namespace:
            for port in ports:
                listener = socket.socket(socket.AF_INET6, socket.SOCK_STREAM)
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
                listener.bind(("::", port))
                listener.listen(256)
                self._selector.register(listener, selectors.EVENT_READ, self._accept)
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def stop(self):
        self._wake.close()
        self._thread.join(2)

    def _serve(self):
        while True:
            for key, _ in self._selector.select():
                if key.data is None:
                    for other in list(self._selector.get_map().values()):
                        other.fileobj.close()
                    return
                key.data(key.fileobj)

    def _accept(self, listener):
        connection, _ = listener.accept()
        try:
            connection.sendall(GREETING)
            self._selector.register(connection, selectors.EVENT_READ, self._echo)
        except OSError:
            connection.close()

    def _echo(self, connection):
        try:
            data = connection.recv(4096)
            connection.sendall(data)
        except OSError:
            data = b""
        if not data:
            self._selector.unregister(connection)
            connection.close()


def connect(namespace, address, port, source=None, timeout=PATIENCE):
    """A connection that has been greeted. Raises ConnectionRefusedError, TimeoutError or another OSError."""
    with namespace:
        made = socket.create_connection((address, port), timeout, (source, 0) if source else None)
    try:
        if made.recv(len(GREETING)) != GREETING:
            raise ConnectionRefusedError("closed without a greeting")
    except OSError:
        made.close()
        raise
    return made


def attempt(namespace, address, port, source=None, timeout=PATIENCE):
    """OPEN, CLOSED (a reset) or SILENT (no answer within the timeout)."""
    try:
        connect(namespace, address, port, source, timeout).close()
        return OPEN
    except ConnectionRefusedError:
        return CLOSED
    except TimeoutError:
        return SILENT
    except OSError as error:
        if error.errno in (errno.ECONNRESET,):
            return CLOSED
        raise


def is_alive(connection):
    """Whether what is sent comes back."""
    try:
        connection.sendall(b"?")
        return connection.recv(1) == b"?"
    except OSError:
        return False

"""A disk with a volatile write cache, as a real one has, served to a virtual machine over NBD.

What the machine writes is in the cache until it asks for a flush. cut() is the moment at which the power fails: from then on
no request is answered or has an effect. What such a disk may hold when the power is back are its outcomes: all that was
flushed, and of what was written since any part, down to single sectors and in any order.

    disk = Disk(path, content)      # qemu: -blockdev driver=nbd,server.type=unix,server.path=PATH,...
    ...
    disk.cut()
    content = disk.outcome(Survival.SOME, random.Random(1))
"""

import enum
import os
import socket
import struct
import threading

SECTOR = 512
_INIT, _OPTIONS, _OPTION_REPLY = b"NBDMAGIC", b"IHAVEOPT", 0x3E889045565A9
_REQUEST, _REPLY = 0x25609513, 0x67446698
_READ, _WRITE, _DISCONNECT, _FLUSH = range(4)
_INFO, _GO = 6, 7
_ACK, _SENDS_INFO, _IS_UNSUPPORTED = 1, 3, 1 << 31 | 1
_HAS_FLAGS, _CAN_FLUSH = 1, 4
_NOT_SUPPORTED = 95


class Survival(enum.Enum):
    """What becomes of the sectors that were written but not flushed."""
    NONE = "none"
    ALL = "all"
    SOME = "some"      # each by chance
    PREFIX = "prefix"  # those before a moment that chance chooses


class Disk:
    def __init__(self, path, content):
        self._durable = bytearray(content)
        self._current = bytearray(content)
        self._cache = []  # (offset, bytes) as they came since the last flush
        self._lock = threading.Lock()
        self._writes_left = None
        self.is_cut = False
        self.flushes = 0
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(path)
        self._listener.listen(1)
        self._path = path
        threading.Thread(target=self._serve, daemon=True).start()

    def end(self):
        self.cut()
        self._listener.close()
        if os.path.exists(self._path):
            os.unlink(self._path)

    def cut(self):
        """The power fails."""
        with self._lock:
            self.is_cut = True

    def cut_after(self, writes):
        """The power fails behind so many writes from now."""
        with self._lock:
            self._writes_left = writes

    @property
    def unflushed(self):
        """How many sectors were written since the last flush."""
        return len({sector for offset, data in self._cache for sector, _ in _sectors(offset, data)})

    def outcome(self, survival, chance):
        """What may be on the disk now."""
        content = bytearray(self._durable)
        writes = self._cache
        if survival is Survival.NONE:
            writes = []
        elif survival is Survival.PREFIX:
            writes = writes[:chance.randint(0, len(writes))]
        for offset, data in writes:
            for at, part in _sectors(offset, data):
                if survival is not Survival.SOME or chance.random() < 0.5:
                    content[at:at + len(part)] = part
        return bytes(content)

    def _serve(self):
        try:
            connection, _ = self._listener.accept()
            with connection, connection.makefile("rb") as stream:
                if self._negotiate(connection, stream):
                    while self._answer(connection, stream):
                        pass
        except (OSError, EOFError):
            pass  # the machine is gone

    def _negotiate(self, connection, stream):
        """The fixed newstyle handshake; whether the transmission begins."""
        connection.sendall(_INIT + _OPTIONS + struct.pack(">H", 3))
        _read(stream, 4)
        while True:
            magic, option, length = struct.unpack(">8sII", _read(stream, 16))
            _read(stream, length)
            if magic != _OPTIONS:
                return False
            if option not in (_INFO, _GO):
                connection.sendall(_option_reply(option, _IS_UNSUPPORTED))
                continue
            about = struct.pack(">HQH", 0, len(self._current), _HAS_FLAGS | _CAN_FLUSH)
            connection.sendall(_option_reply(option, _SENDS_INFO, about) + _option_reply(option, _ACK))
            if option == _GO:
                return True

    def _answer(self, connection, stream):
        magic, _, kind, cookie, offset, length = struct.unpack(">IHHQQI", _read(stream, 28))
        if magic != _REQUEST or kind == _DISCONNECT:
            return False
        data = _read(stream, length) if kind == _WRITE else b""
        with self._lock:
            if self.is_cut:
                return True  # no answer ever comes
            error, answer = self._do(kind, offset, length, data)
            if self.is_cut:
                return True
        connection.sendall(struct.pack(">IIQ", _REPLY, error, cookie) + answer)
        return True

    def _do(self, kind, offset, length, data):
        if kind == _READ:
            return 0, bytes(self._current[offset:offset + length])
        if kind == _WRITE:
            self._current[offset:offset + length] = data
            self._cache.append((offset, data))
            if self._writes_left is not None:
                self._writes_left -= 1
                self.is_cut = self.is_cut or self._writes_left == 0
        elif kind == _FLUSH:
            for at, written in self._cache:
                self._durable[at:at + len(written)] = written
            self._cache.clear()
            self.flushes += 1
        else:
            return _NOT_SUPPORTED, b""
        return 0, b""


def _sectors(offset, data):
    """(offset, bytes) of each sector."""
    return [(offset + at, data[at:at + SECTOR]) for at in range(0, len(data), SECTOR)]


def _option_reply(option, kind, data=b""):
    return struct.pack(">QIII", _OPTION_REPLY, option, kind, len(data)) + data


def _read(stream, length):
    data = stream.read(length)
    if len(data) != length:
        raise EOFError
    return data

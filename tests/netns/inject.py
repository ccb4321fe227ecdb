"""System calls made inside another, running process, as code that has taken it over would make them: with ptrace, which
root may. Only on x86-64.

    with Injected(pid) as inside:
        inside.call("getpid")                                  # what the kernel answers: a negative errno is a refusal
        inside.call("openat", -100, inside.put(b"/etc/passwd\\0"), 0)

A process that is killed for a call gives a Killed with the signal's number.
"""

import ctypes
import os
import platform
import re
import signal

IS_POSSIBLE = platform.machine() == "x86_64"

_ATTACH, _DETACH, _GET, _SET, _STEP = 16, 17, 12, 13, 9
_NAMES = ("r15 r14 r13 r12 rbp rbx r11 r10 r9 r8 rax rcx rdx rsi rdi orig_rax rip cs eflags rsp ss fs_base gs_base ds es fs "
          "gs").split()
_SYSCALL, _INT80 = b"\x0f\x05", b"\xcd\x80"

NUMBERS = dict(
    read=0, write=1, open=2, close=3, mmap=9, mprotect=10, ioctl=16, writev=20, dup=32, dup2=33, getpid=39, sendfile=40,
    socket=41, connect=42, sendto=44, sendmsg=46, bind=49, listen=50, socketpair=53, setsockopt=54, clone=56, fork=57,
    execve=59, kill=62, fcntl=72, rename=82, mkdir=83, creat=85, unlink=87, symlink=88, chmod=90, ptrace=101, setuid=105,
    rt_sigqueueinfo=129, personality=135, prctl=157, setrlimit=160, chroot=161, mount=165, tkill=200, timer_create=222,
    tgkill=234, mq_notify=244, openat=257, unshare=272, splice=275, tee=276, vmsplice=278, accept4=288, dup3=292,
    rt_tgsigqueueinfo=297, perf_event_open=298, prlimit64=302, sendmmsg=307, setns=308, process_vm_readv=310,
    process_vm_writev=311, bpf=321, execveat=322, userfaultfd=323, copy_file_range=326, pidfd_send_signal=424,
    io_uring_setup=425, open_tree=428, pidfd_open=434, clone3=435, openat2=437, pidfd_getfd=438)


class _Registers(ctypes.Structure):
    _fields_ = [(name, ctypes.c_ulong) for name in _NAMES]


class Killed(Exception):
    """The process ended by this signal."""

    def __init__(self, number):
        super().__init__(signal.Signals(number).name)
        self.number = number


_libc = ctypes.CDLL(None, use_errno=True)
_libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
_libc.ptrace.restype = ctypes.c_long


class Injected:
    def __init__(self, pid):
        self.pid = pid
        self._is_alive = True

    def __enter__(self):
        self._ptrace(_ATTACH)
        self._wait()
        self._saved = self._registers()
        self._memory = os.open(f"/proc/{self.pid}/mem", os.O_RDWR | os.O_CLOEXEC)
        self._scratch = (self._saved.rsp - 8192) & ~4095  # far below what is in use of its stack
        self._used = 0
        return self

    def __exit__(self, *_):
        os.close(self._memory)
        if self._is_alive:
            self._ptrace(_SET, ctypes.byref(self._saved))
            self._ptrace(_DETACH)

    def put(self, content):
        """Its address in the process's memory."""
        address = self._scratch + self._used
        self._used += (len(content) + 15) & ~15
        assert self._used <= 2048, "more than there is room for"
        os.pwrite(self._memory, content, address)
        return address

    def forget(self):
        """Gives back the room of all that was put."""
        self._used = 0

    def call(self, name, *arguments):
        number = NUMBERS[name] if isinstance(name, str) else name
        return self._execute(_SYSCALL, number, arguments, ("rdi", "rsi", "rdx", "r10", "r8", "r9"))

    def call_of_32_bits(self, number, *arguments):
        """By the old gate, with the numbers of that architecture."""
        return self._execute(_INT80, number, arguments, ("rbx", "rcx", "rdx", "rsi", "rdi", "rbp"))

    def _execute(self, instruction, number, arguments, names):
        registers = _Registers.from_buffer_copy(self._saved)
        for name, value in zip(names, (*arguments, 0, 0, 0, 0, 0, 0)):
            setattr(registers, name, value & 0xFFFFFFFFFFFFFFFF)
        registers.rax = number & 0xFFFFFFFFFFFFFFFF
        registers.orig_rax = 0xFFFFFFFFFFFFFFFF  # the call that was interrupted is not taken up here
        code = os.pread(self._memory, len(instruction), self._saved.rip)
        os.pwrite(self._memory, instruction, self._saved.rip)
        self._ptrace(_SET, ctypes.byref(registers))
        self._ptrace(_STEP)
        self._wait()
        os.pwrite(self._memory, code, self._saved.rip)
        return ctypes.c_long(self._registers().rax).value

    def _registers(self):
        registers = _Registers()
        self._ptrace(_GET, ctypes.byref(registers))
        return registers

    def _ptrace(self, request, data=None):
        if _libc.ptrace(request, self.pid, None, data) != 0:
            raise OSError(ctypes.get_errno(), f"ptrace {request}: {os.strerror(ctypes.get_errno())}")

    def _wait(self):
        _, status = os.waitpid(self.pid, 0x40000000)  # __WALL
        if os.WIFSIGNALED(status):
            self._is_alive = False
            raise Killed(os.WTERMSIG(status))
        assert os.WIFSTOPPED(status) and os.WSTOPSIG(status) in (signal.SIGSTOP, signal.SIGTRAP), hex(status)


def descriptors(pid):
    """Where each of the process's descriptors leads."""
    return {int(number): os.readlink(f"/proc/{pid}/fd/{number}") for number in os.listdir(f"/proc/{pid}/fd")}


def packet_sockets(namespace, pid):
    """The numbers of the process's descriptors that are packet sockets."""
    with namespace, open("/proc/thread-self/net/packet") as table:
        inodes = {line.split()[8] for line in table.readlines()[1:]}
    return [number for number, leads in descriptors(pid).items()
            if (found := re.fullmatch(r"socket:\[(\d+)\]", leads)) and found[1] in inodes]

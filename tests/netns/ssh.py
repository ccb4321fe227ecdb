"""ssh as people use it: a real sshd behind the guard, a real ssh with `ProxyCommand oneknock connect`.

      client 10.77.0.2 fd77::2  c0 ---- s0  10.77.0.1 fd77::1  server (oneknockd; sshd on tcp 22)
"""

import os
import shutil

from door import Daemon, Door
from harness import NetworkTest, eventually, main, program, run

SSHD = "/usr/sbin/sshd"
UNAVAILABLE = 69


class SshHouse(NetworkTest):
    """A client and a server with an sshd behind a running daemon, and a key for "laptop"."""
    services = ["ssh=tcp/22"]
    allow = ("ssh",)

    def build(self):
        if not os.path.exists(SSHD):
            self.skipTest("sshd is not installed")
        net = self.net
        self.server, self.client = map(net.namespace, ("server", "client"))
        net.link(self.server, "s0", ["10.77.0.1/24", "fd77::1/64"], self.client, "c0", ["10.77.0.2/24", "fd77::2/64"])
        self.start_sshd()
        self.door = Door(net, "10.77.0.1", services=self.services)
        self.key = self.door.add("laptop", allow=self.allow)
        self.daemon = Daemon(net, self.server, self.door)

    def start_sshd(self):
        net = self.net
        for name in ("host", "user"):
            run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", net.path(name))
        shutil.copy(net.path("user.pub"), net.path("authorized"))
        os.makedirs("/run/sshd", exist_ok=True)  # sshd's own, where no service manager makes it
        with open(net.path("sshd_config"), "w") as file:
            file.write(f"HostKey {net.path('host')}\nAuthorizedKeysFile {net.path('authorized')}\nStrictModes no\nUsePAM no\n"
                       f"PidFile none\nPermitRootLogin prohibit-password\nPasswordAuthentication no\nListenAddress ::\n"
                       f"ListenAddress 0.0.0.0\nSubsystem sftp internal-sftp\n{self.more_for_sshd()}")
        sshd = net.start(self.server, SSHD, "-D", "-e", "-f", net.path("sshd_config"))
        sshd.wait_for("Server listening on 0.0.0.0")

    def more_for_sshd(self):
        """Further lines of its configuration."""
        return ""

    def options(self):
        return ("-F", "none", "-i", self.net.path("user"), "-o", "StrictHostKeyChecking=no", "-o",
                f"UserKnownHostsFile={self.net.path('known')}", "-o", "BatchMode=yes")


class Ssh(SshHouse):
    def ssh(self, *options, command="echo in", check=True, **more):
        return self.client.run("ssh", *self.options(), "-o", "ConnectTimeout=5", *options, "root@10.77.0.1", command, check=check,
                               **more)

    def proxy(self, key, *words):
        return ("-o", f"ProxyCommand={program('oneknock')} connect {key} ssh " + " ".join(words))

    def test_ssh_is_refused_without_a_knock_and_just_works_with_the_proxy_command(self):
        self.assertIn("refused", self.ssh(check=False).stderr)
        self.assertEqual(self.ssh(*self.proxy(self.key)).stdout, "in\n")
        self.assert_becomes(1, lambda: self.daemon.accepted())

    def test_ssh_takes_the_connected_descriptor_over(self):
        done = self.ssh(*self.proxy(self.key, "--fdpass"), "-o", "ProxyUseFdpass=yes")
        self.assertEqual(done.stdout, "in\n")

    def test_a_megabyte_goes_through_the_proxy_unharmed(self):
        sent = "0123456789abcdef" * 65536
        self.assertEqual(self.ssh(*self.proxy(self.key), command="cat", input=sent).stdout, sent)

    def test_files_are_copied_both_ways_with_and_without_the_descriptor(self):
        content = os.urandom(2_000_000)
        with open(self.net.path("there"), "wb") as file:
            file.write(content)
        for options in (self.proxy(self.key), (*self.proxy(self.key, "--fdpass"), "-o", "ProxyUseFdpass=yes")):
            for source, target in ((f"root@10.77.0.1:{self.net.path('there')}", self.net.path("here")),
                                   (self.net.path("here"), f"root@10.77.0.1:{self.net.path('back')}")):
                self.client.run("scp", *self.options(), *options, source, target)
            for copy in ("here", "back"):
                with open(self.net.path(copy), "rb") as file:
                    self.assertEqual(file.read(), content)

    def test_the_proxy_ends_with_its_connection_when_the_server_is_killed(self):
        session = self.net.start(self.client, "ssh", *self.options(), *self.proxy(self.key), "root@10.77.0.1",
                                 "echo in; sleep 1; kill -9 $PPID")
        session.wait_for("^in$")
        proxy = self.proxies()
        self.assertEqual(len(proxy), 1)
        self.assertEqual(session.wait(), 255)  # its sshd was killed
        eventually(lambda: not self.proxies(), "the proxy to end")

    def proxies(self):
        """The processes of `oneknock connect` with our key."""
        return run("pgrep", "-f", f"^{program('oneknock')} connect {self.key}", check=False).stdout.split()

    def test_a_key_with_a_passphrase_is_used_without_a_terminal(self):
        oneknock, secret, asker = program("oneknock"), self.net.path("secret"), self.net.path("asker")
        with open(secret, "w") as file:
            file.write("open sesame\n")
        with open(os.open(asker, os.O_WRONLY | os.O_CREAT, 0o700), "w") as file:
            file.write(f"#!/bin/sh\ncat {secret}\n")

        def with_passphrase(command, check=True):
            return run("sh", "-c", f"{oneknock} {command} {self.key} --key-fd 3 3<{secret}", check=check)

        def logs_in(**environment):
            nobody = {"SSH_ASKPASS": "", "ONEKNOCK_ASKPASS": "", "SSH_ASKPASS_REQUIRE": "", "DISPLAY": "", "WAYLAND_DISPLAY": ""}
            return self.client.run("setsid", "-w", "ssh", *self.options(), *self.proxy(self.key), "root@10.77.0.1", "true",
                                   check=False, env={**nobody, **environment}).returncode == 0

        with_passphrase("passphrase")
        self.assertFalse(logs_in())
        self.assertTrue(logs_in(ONEKNOCK_ASKPASS=asker))
        self.assertTrue(logs_in(SSH_ASKPASS=asker, SSH_ASKPASS_REQUIRE="force"))
        unlocked = with_passphrase("unlock --for 5m", check=False)
        if unlocked.returncode == UNAVAILABLE:
            self.skipTest(unlocked.stderr)  # a kernel without keyrings, or a container that forbids them
        self.assertTrue(logs_in())
        run(oneknock, "lock", self.key)
        self.assertFalse(logs_in())

    def test_a_session_lives_on_after_its_grant_ended_and_across_a_restart_of_the_daemon(self):
        self.client.run(program("oneknock"), "open", self.key, "ssh", "--wait", "--for", "1s")
        with self.client:
            session = self.net.start(self.client, "ssh", *self.options(), "root@10.77.0.1",
                                     "for i in 1 2 3 4 5 6 7 8; do echo tick $i; sleep 0.5; done")
        session.wait_for("tick 1")
        eventually(lambda: not self.daemon.grants(), "the grant to end")
        self.daemon.stop()
        again = Daemon(self.net, self.server, self.door)
        self.assertIn("refused", self.ssh(check=False).stderr)
        session.wait_for("tick 8", timeout=10)
        self.assertEqual(session.wait(), 0)
        again.stop()


if __name__ == "__main__":
    main()

"""Services as `connect` and `run` use them: what they see of a knock, how connections end, and UDP services kept open.

      client 10.77.0.2  c0 ---- s0  10.77.0.1  server (oneknockd; services on tcp 22, udp 51820)
"""

import os
import signal
import socket
import subprocess
import threading
import time

from door import Daemon, Door, knock
from harness import PATIENCE, NetworkTest, eventually, main, program

SERVER = "10.77.0.1"
UNAVAILABLE = 69


class Visits:
    """A TCP service that counts who comes, and gives each connection to the test."""

    def __init__(self, namespace, port):
        self.count = 0
        self.connections = []
        with namespace:
            self._listener = socket.create_server((SERVER, port), backlog=256)
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections.append(connection)
            self.count += 1

    def next(self, number=1):
        """The connection of this number, once it has come."""
        eventually(lambda: self.count >= number, f"visit {number}")
        return self.connections[number - 1]

    def stop(self):
        self._listener.shutdown(socket.SHUT_RDWR)
        for each in (self._listener, *self.connections):
            each.close()


def end(process):
    process.kill()
    with process:  # closes its pipes
        pass


class Connect(NetworkTest):
    def build(self):
        net = self.net
        self.server, self.client = map(net.namespace, ("server", "client"))
        net.link(self.server, "s0", [SERVER + "/24"], self.client, "c0", ["10.77.0.2/24"])
        self.visits = net.keep(Visits(self.server, 22), Visits.stop)
        self.door = Door(net, SERVER, services=["ssh=tcp/22", "vpn=udp/51820"])
        self.key = self.door.add("alice", "--max-duration", "5m", allow=("ssh", "vpn"))
        self.daemon = Daemon(net, self.server, self.door)

    def connect(self, **streams):
        """A running `oneknock connect`, and the service's end of its connection."""
        number = self.visits.count + 1
        with self.client:
            process = subprocess.Popen([program("oneknock"), "connect", self.key], **{
                "stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **streams})
        self.net.keep(process, end)
        return process, self.visits.next(number)

    # --- visits ------------------------------------------------------------------------------------------------------

    def is_unseen(self, *words):
        """Whether the service saw nothing of two looks: at the closed port, and at the open one."""
        before = self.visits.count
        for _ in range(2):
            self.client.run(program("oneknock"), *words)
        self.daemon.ctl("revoke", "--all")
        return self.visits.count == before

    def test_no_service_sees_an_attempt_that_only_looks_and_connect_is_one_visit(self):
        for words in (("open", self.key, "ssh", "--wait"), ("run", self.key, "ssh", "--", "true"),
                      ("run", "--no-probe", self.key, "ssh", "--", "true")):
            # A machine that stalls in the middle of an attempt completes it after all.
            self.assertTrue(any(self.is_unseen(*words) for _ in range(5)), words)
        before = self.visits.count
        process, peer = self.connect()
        peer.close()
        self.assertEqual(process.wait(PATIENCE), 0)
        self.assertEqual(self.visits.count, before + 1)

    def test_what_fail2ban_is_told_to_run_says_whether_there_is_a_grant(self):
        ask = ("nft", "get", "element", "inet", "oneknock", "granted4", "{", "10.77.0.2", ".", "tcp", ".", "22", "}")
        self.assertNotEqual(self.server.run(*ask, check=False).returncode, 0)
        knock(self.client, self.key, "ssh", "--wait")
        self.assertEqual(self.server.run(*ask, check=False).returncode, 0)

    # --- ends --------------------------------------------------------------------------------------------------------

    def test_each_end_is_passed_on_by_itself(self):
        process, peer = self.connect()
        process.stdin.write(b"question")
        process.stdin.close()
        self.assertEqual(peer.makefile("rb").read(), b"question")
        peer.sendall(b"answer")
        peer.close()
        self.assertEqual(process.stdout.read(), b"answer")
        self.assertEqual(process.wait(PATIENCE), 0)

    def test_it_ends_after_the_peer_though_its_input_stays_open(self):
        process, peer = self.connect()
        peer.sendall(b"bye")
        peer.close()
        self.assertEqual(process.stdout.read(), b"bye")
        self.assertEqual(process.wait(PATIENCE), 0)

    def test_a_reset_is_an_error(self):
        process, peer = self.connect()
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        peer.close()
        self.assertEqual(process.wait(PATIENCE), UNAVAILABLE)
        self.assertIn(b"broke off", process.stderr.read())

    def test_over_one_socket_as_input_and_output_large_streams_cross(self):
        mine, its = socket.socketpair()
        process, peer = self.connect(stdin=its, stdout=its)
        sent, answer = os.urandom(3_000_000), os.urandom(3_000_000)
        got = {}

        def talk(name, end, content):
            writer = threading.Thread(target=lambda: (end.sendall(content), end.shutdown(socket.SHUT_WR)))
            writer.start()
            got[name] = end.makefile("rb").read()
            writer.join()

        threads = [threading.Thread(target=talk, args=words) for words in (("mine", mine, sent), ("peer", peer, answer))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(2 * PATIENCE)
        self.assertEqual((got["peer"], got["mine"]), (sent, answer))
        self.assertEqual(process.wait(PATIENCE), 0)  # though this test has the socket open as well
        for each in (mine, its):
            each.close()

    def test_it_does_not_outlive_whoever_started_it(self):
        process, peer = self.connect()
        process.stdin.close()
        process.stdout.close()
        self.assertEqual(peer.recv(1), b"")
        self.assertEqual(process.wait(PATIENCE), 0)  # the peer has not ended

    # --- UDP -----------------------------------------------------------------------------------------------------------

    def run_in(self, *words):
        return self.net.start(self.client, program("oneknock"), "run", self.key, "vpn", *words)

    def test_a_udp_service_is_kept_open_while_a_command_runs_and_not_longer(self):
        running = self.run_in("--for", "3s", "--", "sleep", "1000")
        eventually(lambda: self.daemon.accepted() >= 4, "the fourth knock")
        self.assertEqual([grant["protocol"] for grant in self.daemon.grants()], ["udp"])
        self.assertEqual(running.stop(signal.SIGTERM), 128 + signal.SIGTERM)  # passed on
        count = self.daemon.accepted()
        time.sleep(1.5)  # longer than from one knock to the next
        self.assertEqual(self.daemon.accepted(), count)

    def test_it_follows_this_machines_address(self):
        running = self.run_in("--for", "3s", "--", "sleep", "1000")
        eventually(self.daemon.grants, "the grant")
        self.client.ip("addr add 10.77.0.3/24 dev c0", "addr del 10.77.0.2/24 dev c0", "addr replace 10.77.0.3/24 dev c0")
        eventually(lambda: "10.77.0.3" in [grant["address"] for grant in self.daemon.grants()], "the new address")
        running.stop()

    def test_it_waits_for_a_network(self):
        for words in (("vpn",), ("ssh", "--no-probe"), ("ssh",)):
            self.client.ip("link set c0 down")
            running = self.net.start(self.client, program("oneknock"), "run", self.key, *words, "--", "echo", "went")
            time.sleep(0.8)  # it has tried in vain
            self.assertIsNone(running.exit, running.log)
            self.client.ip("link set c0 up")
            self.assertEqual(running.wait(PATIENCE), 0, running.log)
            self.assertIn("went", running.log)

    def test_without_one_it_gives_up_and_says_how_long_it_tried(self):
        self.client.ip("link set c0 down")
        done = self.client.run(program("oneknock"), "run", self.key, "ssh", "--no-probe", "--", "echo", "went", check=False)
        self.assertEqual((done.returncode, done.stdout), (69, ""))
        self.assertIn("(tried again for 10s)", done.stderr)

    def test_its_status_is_that_of_the_command_which_is_run_with_the_signals_of_whoever_started_it(self):
        done = self.client.run(program("oneknock"), "run", self.key, "vpn", "--", "sh", "-c",
                               "grep SigBlk /proc/self/status; exit 7", check=False)
        self.assertEqual(done.returncode, 7)
        self.assertEqual(done.stdout.split(), ["SigBlk:", "0" * 16])
        self.assertEqual(self.client.run(program("oneknock"), "run", self.key, "vpn", "--", "/nowhere", check=False).returncode,
                         66)

    def test_what_cannot_be_done_with_udp_is_said_with_what_can(self):
        for words in (("connect", self.key, "vpn"), ("open", self.key, "vpn", "--wait")):
            done = self.client.run(program("oneknock"), *words, check=False)
            self.assertEqual(done.returncode, 64)
            self.assertIn(f"oneknock run {self.key} vpn -- COMMAND", done.stderr)


if __name__ == "__main__":
    main()

"""Upgrade, boot, removal and purge, from the state in which the steps before have left the machine."""

from server import LAN, SSH, Server
from steps import expect, expect_in


class Upgraded(Server):
    """Upgraded, booted, removed"""

    def step_upgrade(self):
        """An upgrade restarts the daemon; a session and a grant that are open stay open, and strangers stay out."""
        self.run(f"systemd-run --quiet --unit session --collect {LAN} \"oneknock open home ssh --for 10m --wait &&"
                 f" {SSH} root@10.77.0.1 'echo begun >/run/session; while sleep 1; do echo >>/run/session; done'\"")
        self.machine.until("test -s /run/session")
        before = self.unit("MainPID")
        self.install("next.deb")
        expect_in("+next", self.run("dpkg-query -W oneknockd"))
        expect(self.is_active() and self.unit("MainPID") != before, "the daemon was not restarted")
        size = self.run("stat -c %s /run/session")
        self.machine.until(f"test $(stat -c %s /run/session) -gt {size.strip()}")
        expect_in("10.77.0.2", self.run("oneknockctl grants"))
        expect(self.can_connect(), "the grant ended with the upgrade")
        self.run("systemctl stop session")
        self.close()

    def step_boot(self):
        """After a boot the guard was up before the network and before any service, and a knock opens."""
        self.machine.reboot()
        self.run(f"mount -o ro /dev/vdb /mnt && {LAN}")
        self.expect_closed()
        self.wait_until(lambda: self.is_active("network-pre.target"), "network-pre.target")
        guard = int(self.unit("ExecMainExitTimestampMonotonic", "oneknockd-guard.service"))
        network = int(self.unit("ActiveEnterTimestampMonotonic", "network-pre.target"))
        expect(0 < guard <= network, f"the guard was up at {guard}, network-pre.target reached at {network}")
        ssh = int(self.unit("ExecMainStartTimestampMonotonic", "ssh.service"))
        expect(guard <= ssh, f"the guard was up at {guard}, sshd started at {ssh}")
        self.wait_until(self.is_active, "the daemon")
        self.knock_and_log_in()

    def step_removal(self):
        """Removed, the package takes its guard away and says that the services are open."""
        said = self.run("DEBIAN_FRONTEND=noninteractive apt-get remove -y oneknockd")
        expect_in("the services of the door are not closed any more", said)
        expect("oneknock" not in self.tables() and self.can_connect(), "something is closed that nobody can open")

    def step_purge(self):
        """Purged, it keeps keys and record unless it was told otherwise."""
        said = self.run("DEBIAN_FRONTEND=noninteractive apt-get purge -y oneknockd")
        expect_in("are kept", said)
        self.run("test -e /etc/oneknock/door.json -a -d /var/lib/oneknock")
        self.install("oneknockd_*.deb")
        self.run("systemctl enable -q --now oneknockd-guard oneknockd")
        self.knock_and_log_in()
        self.run("echo 'oneknockd oneknockd/purge_keys boolean true' | debconf-set-selections"
                 " && DEBIAN_FRONTEND=noninteractive apt-get purge -y oneknockd")
        self.run("test ! -e /etc/oneknock -a ! -e /var/lib/oneknock")
        expect("oneknock" not in self.tables(), "a table is left")

"""From `apt install` on: what operations.md tells an administrator to do, and what systemd does then."""

import json
import re
import time

from server import CONFIG, LAN, SSH, Server
from steps import expect, expect_in

ROOMS = ("oneknockd", "okd-listener", "okd-gatekeeper")  # names of the processes


class Installed(Server):
    """Installed and tried"""

    def step_installed(self):
        """apt installs both packages, and neither closes a port nor starts or enables anything."""
        self.run(f"mount -o ro /dev/vdb /mnt && install -m 755 /mnt/lan {LAN} && {LAN}")
        self.install("oneknock_*.deb", "oneknockd_*.deb")
        for unit in ("oneknockd.service", "oneknockd-guard.service"):
            expect(self.machine.ask(f"systemctl is-enabled {unit}")[1].strip() == "disabled", "it is enabled")
            expect(not self.is_active(unit), "it runs")
        expect("oneknock" not in self.tables() and self.can_connect(), "something is closed")

    def step_condition(self):
        """Started without a door, the units are skipped and do no harm."""
        self.run("systemctl start oneknockd-guard oneknockd")
        expect(self.unit("ConditionResult") == "no" and not self.is_active(), "it was started")
        expect("oneknock" not in self.tables(), "something is closed")

    def step_user(self):
        """The user and the folders are there, as sysusers and tmpfiles make them."""
        expect_in("/nonexistent:/usr/sbin/nologin", self.run("getent passwd oneknock"))
        expect(self.run("stat -c '%U:%G %a' /run/oneknock /var/lib/oneknock").split("\n")[:2]
               == ["root:oneknock 750", "oneknock:oneknock 700"], self.run("ls -ld /run/oneknock /var/lib/oneknock"))

    def step_own_test(self):
        """autopkgtest, with the null runner, runs the packages' own test (debian/tests), and it passes."""
        packages = self.run("ls /mnt/oneknock*.deb").split()
        said = self.run(f"autopkgtest -B {' '.join(packages)} /mnt/source -- null 2>&1")
        expect_in("open after a knock", said)
        expect(re.search("^knock +PASS$", said, re.M), said)

    def step_setup(self):
        """`oneknock-keygen setup`, typed at a terminal, makes the door, waits for a knock that lets a new session in, and
        starts the service."""
        self.at_terminal("oneknock-keygen setup")
        for question, answer in (("Name of the door", "home"), ("clients knock at", "10.77.0.1"),
                                 ("and nothing else.*\\[ssh\\]", ""), ("first client", "")):
            self.answer(question, answer)
        self.bring_key()
        self.answer("Press Enter", "")
        self.shown("here with yes")
        self.expect_closed()
        self.answer("here with yes", "yes")
        self.shown("No knock has been accepted")
        self.alice(f"oneknock open home ssh --wait && {SSH} root@10.77.0.1 true")
        self.answer("No knock has been accepted", "yes")
        self.shown("^Done:")
        for unit in ("oneknockd.service", "oneknockd-guard.service"):
            expect(self.machine.ask(f"systemctl is-enabled {unit}")[1].strip() == "enabled" and self.is_active(unit), unit)
        self.knock_and_log_in()

    def step_taken_down(self):
        """What it has made is taken down by hand; then it is set up without a confirmation, and
        nothing is left of that."""
        self.run("systemctl disable -q --now oneknockd-guard oneknockd && oneknockd --remove"
                 " && rm -r /etc/oneknock /var/lib/oneknock/* /root/laptop.json")
        self.alice("oneknock remove home")
        self.at_terminal("oneknock-keygen setup --name home --address 10.77.0.1 --service ssh=tcp/22 --client laptop --try 3s")
        self.answer("Press Enter", "")
        self.shown("the trial was not confirmed; all of it is undone")
        expect("oneknock" not in self.tables() and self.can_connect(), "something is closed")
        self.run("test ! -e /etc/oneknock -a ! -e /root/laptop.json -a -z \"$(ls /var/lib/oneknock)\"")
        expect(not self.is_active() and self.machine.ask("systemctl is-enabled oneknockd")[1].strip() == "disabled", "it is on")

    def bring_key(self):
        self.alice("test -e ~/.ssh/id_ed25519 || ssh-keygen -q -t ed25519 -N '' -f ~/.ssh/id_ed25519")
        self.run("mkdir -p -m 700 /root/.ssh && cat /home/alice/.ssh/id_ed25519.pub >>/root/.ssh/authorized_keys")
        self.alice("scp -q -o StrictHostKeyChecking=accept-new root@10.77.0.1:laptop.json . && oneknock import laptop.json"
                   " && rm laptop.json")

    def step_door(self):
        """A door and a client are made, and the key is carried to the client over ssh."""
        self.run("oneknock-keygen init --name home --address 10.77.0.1 --service ssh=tcp/22")
        self.run("oneknock-keygen add laptop --allow ssh --max-duration 10m -o /root/laptop.json")
        self.bring_key()
        self.run("shred -u /root/laptop.json")

    def step_check(self):
        """--check-config on the server and --dry-run on the client find everything in order."""
        self.run("oneknockd --check-config")
        self.alice("oneknock open home ssh --dry-run")

    def step_trial_in_vain(self):
        """A trial that nobody confirms takes its guard away again."""
        status, said = self.machine.ask("oneknockd --try 3")
        expect(status == 75, said)
        expect("oneknock" not in self.tables() and self.can_connect(), "something is closed")

    def step_trial(self):
        """A trial: strangers are refused, a knock opens, and after `oneknockctl confirm` the guard stays."""
        self.run("systemd-run --quiet --unit trial oneknockd --try 600")
        self.wait_until(lambda: not self.can_connect(), "the guard")
        said = self.alice(f"oneknock open home ssh --wait && {SSH} root@10.77.0.1 oneknockctl confirm")[1]
        expect_in("confirmed: the guard stays", said)
        self.run("systemctl stop trial")
        self.alice("oneknock close home ssh", check=False)
        expect_in("inet oneknock", self.tables())


class UnderSystemd(Server):
    """Under systemd"""

    def step_enabled(self):
        """Enabled and started, it is active once it is ready, and `systemctl status` says what it closes."""
        self.run("systemctl enable -q oneknockd-guard oneknockd && systemctl start oneknockd-guard oneknockd")
        expect(self.is_active() and self.is_active("oneknockd-guard.service"), self.run("systemctl status oneknockd"))
        expect(self.unit("Type") == "notify", "it is not of Type=notify")
        expect(self.unit("StatusText") == "closed to whoever has not knocked: tcp/22", self.unit("StatusText"))

    def step_knock(self):
        """A stranger is refused; after a knock ssh logs in; closed again, it is refused."""
        self.expect_closed()
        self.knock_and_log_in()

    def step_ssh_config(self):
        """After `oneknock ssh-config home --install` plain ssh knocks by itself."""
        self.alice("oneknock ssh-config home --install")
        said = self.alice(f"{SSH} root@10.77.0.1 echo logged in")[1]
        expect_in("logged in", said)
        self.alice("oneknock close home ssh")

    def step_journal(self):
        """`journalctl ONEKNOCK_CLIENT=laptop` finds the knocks, with service, address and decision, under the unit."""
        found = self.journal("ONEKNOCK_CLIENT=laptop", "-u", "oneknockd")
        opened = [entry for entry in found if entry.get("ONEKNOCK_OPERATION") == "open"]
        expect(opened, f"no open is there: {found}")
        wanted = {"ONEKNOCK_DECISION": "accepted", "ONEKNOCK_SERVICE": "tcp/22", "ONEKNOCK_ADDRESS": "10.77.0.2",
                  "ONEKNOCK_SOURCE": "10.77.0.2", "PRIORITY": "6", "SYSLOG_IDENTIFIER": "oneknockd"}
        expect({name: opened[-1].get(name) for name in wanted} == wanted, opened[-1])
        expect(not self.journal("ONEKNOCK_CLIENT=nobody"), "it finds what is not there")

    def step_clock(self):
        """It runs though nothing has set the clock, and `oneknockctl status` says so until something has."""
        expect(self.status()["clock_synchronised"] is False, "the clock is said to be synchronised")
        expect_in("not synchronised", self.run("oneknockctl status"))
        # adjtimex(2): ADJ_MAXERROR, ADJ_ESTERROR and ADJ_STATUS, all 0, as a time service does.
        self.run("""perl -e '$b = pack("Lx4q4x4q20", 0x1c); syscall(159, $b) >= 0 or die $!'""")
        expect(self.status()["clock_synchronised"] is True, "the clock is said not to be synchronised")

    def step_reload(self):
        """`systemctl reload` takes a new client in, and its revocation."""
        self.run("oneknock-keygen add desk --allow ssh -o /root/desk.json && systemctl reload oneknockd")
        self.wait_until(lambda: self.status()["clients"] == 2, "two clients")
        self.run("oneknock-keygen revoke desk && rm /root/desk.json && systemctl reload oneknockd")
        expect(self.is_active(), "it has ended")

    def step_kills(self):
        """Each of its processes, killed, brings the daemon back, and a knock opens again."""
        for room in ROOMS:
            before = self.unit("MainPID")
            self.run(f"pkill -KILL -x {room}")
            self.wait_until(lambda: self.is_active() and self.unit("MainPID") != before, f"the daemon after {room} died")
            self.expect_closed()
        self.knock_and_log_in()

    def step_watchdog(self):
        """A process that hangs is noticed by the watchdog, and the daemon restarted."""
        self.run("mkdir -p /run/systemd/system/oneknockd.service.d && printf '[Service]\\nWatchdogSec=6\\n'"
                 " >/run/systemd/system/oneknockd.service.d/fast.conf && systemctl daemon-reload && systemctl restart oneknockd")
        time.sleep(20)
        expect(self.unit("NRestarts") == "0", "the watchdog ended a daemon that lives")
        before = self.unit("MainPID")
        self.run("pkill -STOP -x okd-listener")
        self.wait_until(lambda: self.is_active() and self.unit("MainPID") != before, "the daemon after the watchdog")
        self.run("rm -r /run/systemd/system/oneknockd.service.d && systemctl daemon-reload && systemctl restart oneknockd")

    def step_stop(self):
        """Stopped, it leaves what is closed closed, and a grant of before ends in its time."""
        self.alice("oneknock open home ssh --for 30s --wait")
        self.run("systemctl stop oneknockd")
        expect(self.can_connect(), "the grant ended with the daemon")
        self.wait_until(lambda: not self.can_connect(), "the end of the grant")
        self.run("systemctl start oneknockd")
        self.knock_and_log_in()

    def step_sleep(self):
        """Suspended and woken, it goes on; the time asleep does not count, here as in the kernel."""
        self.alice("oneknock open home ssh --for 5m --wait")
        begin, asleep = time.monotonic(), 60
        self.machine.sleep(asleep)
        left = json.loads(self.run("oneknockctl grants --json"))["grants"][0]["remaining_s"]
        awake = time.monotonic() - begin - asleep
        expect(left > 300 - 30 - awake, f"{left} s are left of 300, of which it was awake for {awake:.0f}")
        kernel = self.run("nft -j list set inet oneknock granted4")
        expires = json.loads(kernel)["nftables"][1]["set"]["elem"][0]["elem"]["expires"]
        expect(abs(left - expires) <= 10, f"the daemon says {left} s, the kernel {expires}")
        self.close()
        self.knock_and_log_in()

    def step_failed_start(self):
        """A start that fails opens nothing, and the journal says which field is wrong; ten failures later it is mended, and
        the daemon starts by itself."""
        self.run(f"cp -p {CONFIG} /root/right.json && systemctl stop oneknockd"
                 f" && sed -i 's/\"user\"/\"usr\"/; 1s/{{/{{ \"usr\": \"x\",/' {CONFIG}")
        self.machine.ask("systemctl start oneknockd")
        self.expect_closed()
        expect_in("usr", "\n".join(entry["MESSAGE"] for entry in self.journal("-u", "oneknockd", "-n", "20")))
        self.wait_until(lambda: int(self.unit("NRestarts")) >= 10, "ten more tries")
        self.run(f"cp -p /root/right.json {CONFIG}")
        self.wait_until(self.is_active, "the daemon")
        self.knock_and_log_in()

    def step_security(self):
        """`systemd-analyze security` rates neither unit above 2.6."""
        for unit in ("oneknockd.service", "oneknockd-guard.service"):
            rated = self.run(f"systemd-analyze security --no-pager {unit} | tail -n 1")
            expect(float(re.search(r"level for \S+: ([0-9.]+)", rated)[1]) <= 2.6, rated)

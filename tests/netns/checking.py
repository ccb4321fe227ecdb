"""`oneknockd --check-config`: what stands between the server and a door that opens, sound and broken; and that looking
changes nothing.

      client 10.77.0.2  c0 ---- s0  10.77.0.1  server (oneknockd; service on tcp 22)
"""

import json
import os

from door import PlainHouse
from harness import main, program, run

USAGE, DATA, PERMISSION, CONFIG = 64, 65, 77, 78


class Checking(PlainHouse):
    def check(self, *options, code=0, within=()):
        return self.run_check(*options, "--json", code=code, within=within)[0]

    def run_check(self, *options, code=0, within=()):
        """{check: [(verdict, text, advice)]}, and all it said."""
        done = self.server.run(*within, program("oneknockd"), "--config", self.door.config, "--check-config", *options,
                               check=False)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        found = {}
        if "--json" in options:
            told = json.loads(done.stdout)
            self.assertEqual(told["schema"], 1)
            for each in told["checks"]:
                found.setdefault(each["check"], []).append((each["verdict"], each["found"], each["advice"]))
        return found, done

    def assert_found(self, found, check, verdict, text):
        self.assertTrue(any(each[0] == verdict and text in each[1] for each in found[check]), found[check])

    def test_what_is_sound_is_told_piece_by_piece_and_the_last_line_is_for_scripts(self):
        found = self.check()
        self.assertEqual(list(found), ["config", "owners", "user", "state", "door", "clients", "clock", "capture",
                                       "interface", "table", "others"])
        del found["clock"]  # this machine's
        self.assertEqual([each[0] for all_of in found.values() for each in all_of], ["ok"] * 10, found)
        self.assert_found(found, "interface", "ok", "any; these are up: lo, s0")
        self.assert_found(found, "table", "ok", "is loaded and as it should be; a daemon answers")
        done = self.run_check()[1]
        self.assertRegex(done.stdout, r"(?m)^ok       door        /.*: door home, services ssh \(tcp/22\), web \(tcp/80\)$")
        self.assertRegex(done.stdout.splitlines()[-1], "^/.*oneknockd.json: OK: door home, services ssh .*, 1 client, ")
        self.assertEqual(done.stderr, "")

    def test_looking_changes_nothing_and_starts_nothing(self):
        def state():
            return (self.server.run("nft", "list", "ruleset").stdout, self.daemon.log,
                    run("find", self.net.folder, "-printf", "%p %s %C@ %m %u\n").stdout)

        self.daemon.stop()
        before, trace = state(), os.path.join("/tmp", f"{os.path.basename(self.net.folder)}.trace")
        self.addCleanup(os.remove, trace)
        self.run_check(within=("strace", "-f", "-o", trace, "-e", "trace=process"))
        self.assertEqual(state(), before)
        with open(trace) as file:
            calls = file.read()
        self.assertEqual([calls.count(call) for call in ("execve(", "clone", "fork(")], [1, 0, 0], calls)

    def test_what_is_in_the_way_is_a_warning_and_no_error(self):
        self.server.nft("add table inet filter; add chain inet filter input { type filter hook input priority 0; policy drop; };"
                        "add rule inet filter input tcp dport { 22, 443 } accept;"
                        "add table ip nat; add chain ip nat DOCKER; add table inet firewalld; add chain inet firewalld x;"
                        "add table ip fil; add chain ip fil last { type filter hook prerouting priority 0; };"
                        "add rule ip fil last udp dport 80 accept; add rule ip fil last counter reject;"
                        "delete chain inet oneknock guard_input")
        os.chmod(self.door.folder, 0o777)
        os.chmod(self.door.state, 0o777)
        self.door.configure(interfaces=["s0", "missing0"])
        self.server.ip("link set s0 down")
        self.daemon.kill()
        self.server.nft("flush chain inet oneknock guard")
        found = self.check()
        self.assert_found(found, "owners", "warning", f"{self.door.folder} may be written by others")
        self.assert_found(found, "state", "warning", f"{self.door.state} may be written by others")
        self.assert_found(found, "interface", "warning", "s0 is down")
        self.assert_found(found, "interface", "warning", "missing0 does not exist")
        self.assert_found(found, "table", "warning", "is not what this configuration makes")
        self.assert_found(found, "others", "ok", "inet filter input drops what it does not accept; rules of its table name tcp/22")
        self.assert_found(found, "others", "warning", "inet filter input drops what it does not accept, and no rule of its table"
                                                      " names tcp/80")
        self.assert_found(found, "others", "ok", "ip fil last drops what it does not accept; rules of its table name tcp/80")
        for software in ("Docker", "firewalld"):
            self.assert_found(found, "others", "ok", software)
        self.assertIn(": OK: door home", self.run_check()[1].stdout)
        self.server.run(program("oneknockd"), "--config", self.door.config, "--guard")
        found = self.check(within=("setpriv", "--bounding-set", "-net_raw", "--inh-caps", "-net_raw"))
        self.assert_found(found, "table", "warning", "no daemon answers")
        self.assert_found(found, "capture", "warning", "CAP_NET_RAW was taken away")
        self.server.run(program("oneknockd"), "--config", self.door.config, "--remove")
        self.assert_found(self.check(), "table", "ok", "is not loaded")

    def test_a_disk_without_room_is_told_of(self):
        self.daemon.stop()
        for options, text in (("size=64k", "only 0 MB are free"), ("size=64m,nr_inodes=4", "inodes left"), ("ro", "is read-only")):
            run("mount", "-t", "tmpfs", "-o", f"mode=700,{options}", "none", self.door.state)
            try:
                self.assert_found(self.check(), "state", "warning", text)
            finally:
                run("umount", self.door.state)

    def test_what_is_wrong_is_told_by_name_and_is_the_exit_status(self):
        for name in ("bad", "worse"):
            with open(os.open(os.path.join(self.door.folder, f"clients.d/{name}.json"), os.O_WRONLY | os.O_CREAT, 0o600), "w") as file:
                file.write("{")
        found, done = self.run_check("--json", code=DATA)
        self.assertEqual([each[0] for each in found["client"]], ["failed", "failed"])
        self.assert_found(found, "client", "failed", "clients.d/worse.json")
        self.assert_found(found, "clients", "ok", "1 client, 1 may knock")
        self.assertRegex(done.stderr, "^oneknockd: warning: .*worse.json.*\noneknockd: error: .*bad.json")
        for others in ((), ("--guard",), ("--try", "1")):
            done = self.server.run(program("oneknockd"), "--config", self.door.config, "--json", *others, check=False)
            self.assertEqual(done.returncode, USAGE, done.stderr)
        self.door.configure(user="nobody-here")
        found = self.check(code=CONFIG)
        self.assert_found(found, "user", "failed", '"nobody-here"')
        self.assert_found(found, "client", "failed", "bad.json")
        self.door.configure(usr="x")
        self.assertEqual(list(self.check(code=CONFIG)), ["config"])

    def test_whoever_is_not_root_learns_what_could_not_be_looked_at(self):
        self.daemon.stop()
        run("chown", "-R", "4711", self.net.folder)
        other = ("setpriv", "--reuid=4711", "--clear-groups", "--inh-caps=-all")
        found = self.check(within=other)
        for check in ("capture", "table"):
            self.assertEqual(found[check][0][0], "unknown", found[check])
        self.assert_found(found, "user", "ok", "would stay user 4711")
        run("chown", "-R", "0", self.net.folder)
        self.check(code=PERMISSION, within=other)


if __name__ == "__main__":
    main()

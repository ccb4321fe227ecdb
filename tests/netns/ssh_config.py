"""`oneknock ssh-config`, with ssh itself: what it makes of the lines (ssh -G), and a login through a real sshd.

      client 10.77.0.2 fd77::2  c0 ---- s0  10.77.0.1 fd77::1  server (oneknockd; sshd on tcp 22)

Ssh looks for its configuration in the home directory of the user database; so that one is hidden by a folder of the
test's, in a mount namespace of the commands that use it.
"""

import fcntl
import json
import os
import pwd
import stat

from harness import main, program, run
from ssh import SshHouse

CONFIG, OURS = "config", "oneknock.d/home.conf"
INCLUDE = "Include oneknock.d/*.conf\n"
USAGE, NO_INPUT, CANNOT_CREATE = 64, 66, 73


class SshConfig(SshHouse):
    def build(self):
        super().build()
        self.home = self.net.path("user-home")
        self.dot_ssh = os.path.join(self.home, ".ssh")
        os.mkdir(self.home)
        self.at_home(program("oneknock"), "import", self.key)

    def at_home(self, *argv, check=True, namespace=None):
        """Runs it with self.home in the place of the home directory, and our programs in its PATH."""
        home = pwd.getpwuid(os.getuid()).pw_dir
        hidden = ("unshare", "-m", "sh", "-c", 'mount --bind "$1" "$2" && shift 2 && exec "$@"', "sh", self.home, home)
        there = {"PATH": os.path.dirname(program("oneknock")) + ":" + os.environ["PATH"], "HOME": home, "XDG_CONFIG_HOME": ""}
        return (namespace.run if namespace else run)(*hidden, *argv, check=check, env=there)

    def ssh_config(self, *words, check=True):
        return self.at_home(program("oneknock"), "ssh-config", *words, check=check)

    def effect(self, host="home"):
        """What ssh would do, by its own words: {option: value}."""
        return dict(line.split(" ", 1) for line in self.at_home("ssh", "-G", host).stdout.splitlines() if " " in line)

    def path(self, name):
        return os.path.join(self.dot_ssh, name)

    def read(self, name):
        with open(self.path(name)) as file:
            return file.read()

    def write(self, name, text, mode=0o644):
        os.makedirs(self.dot_ssh, mode=0o700, exist_ok=True)
        with open(os.open(self.path(name), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "w") as file:
            file.write(text)

    def mode(self, name):
        return stat.S_IMODE(os.stat(self.path(name)).st_mode)

    def tree(self):
        """All there is below ~/.ssh: {path: (mode, what is in it or where it leads)}."""
        found = {}
        for folder, _, names in os.walk(self.dot_ssh):
            found[folder] = stat.S_IMODE(os.stat(folder).st_mode)
            for name in names:
                path = os.path.join(folder, name)
                with open(path) as file:
                    found[path] = (stat.S_IMODE(os.lstat(path).st_mode), os.path.islink(path) and os.readlink(path), file.read())
        return found

    def test_what_is_printed_is_what_ssh_takes(self):
        printed = self.ssh_config("home").stdout
        self.assertFalse(os.path.exists(self.dot_ssh))
        self.write(CONFIG, printed)
        for host in ("home", "10.77.0.1"):
            effect = self.effect(host)
            self.assertEqual((effect["hostname"], effect["port"], effect["proxyusefdpass"]), ("10.77.0.1", "22", "yes"))
            self.assertEqual(effect["proxycommand"], "oneknock connect --fdpass home ssh")
        self.assertNotIn("proxycommand", self.effect("elsewhere"))

    def test_ssh_logs_in_by_the_name_of_the_door_once_it_is_installed_and_no_more_when_it_is_removed(self):
        login = ("ssh", *self.options()[2:], "-o", "ConnectTimeout=5", "root@home", "echo in")
        self.assertNotEqual(self.at_home(*login, check=False, namespace=self.client).returncode, 0)
        self.ssh_config("home", "--install")
        self.assertEqual(self.at_home(*login, namespace=self.client).stdout, "in\n")
        self.assert_becomes(1, self.daemon.accepted)
        self.ssh_config("home", "--remove")
        self.assertNotIn("proxycommand", self.effect())

    def test_another_user_who_may_read_the_folder_does_not_hold_it_up(self):
        os.makedirs(self.dot_ssh)
        os.chmod(self.dot_ssh, 0o755)
        folder = os.open(self.dot_ssh, os.O_RDONLY)
        self.addCleanup(os.close, folder)
        fcntl.flock(folder, fcntl.LOCK_EX)
        self.ssh_config("home", "--install")
        self.assertIn("proxycommand", self.effect())

    def test_where_there_was_nothing_there_is_nothing_afterwards(self):
        os.makedirs(self.dot_ssh, mode=0o700)
        before = self.tree()
        self.ssh_config("home", "--install")
        self.assertEqual((self.mode(CONFIG), self.mode(OURS), self.mode("oneknock.d")), (0o600, 0o600, 0o700))
        once = self.tree()
        self.ssh_config("home", "--install")
        self.assertEqual(self.tree(), once)
        self.ssh_config("home", "--remove")
        self.assertEqual(self.tree(), before)
        self.assertEqual(self.ssh_config("home", "--remove", check=False).returncode, NO_INPUT)

    def test_what_the_user_wrote_stays_and_goes_on_to_act(self):
        self.write(CONFIG, "Host home\n    User bob\n    Port 2200\nHost *\n    ServerAliveInterval 7", mode=0o640)
        before = self.tree()
        self.ssh_config("home", "--install")
        self.assertTrue(self.read(CONFIG).startswith(INCLUDE))
        effect = self.effect()
        self.assertEqual((effect["user"], effect["port"], effect["serveraliveinterval"]), ("bob", "2200", "7"))
        self.assertEqual((effect["hostname"], effect["proxyusefdpass"]), ("10.77.0.1", "yes"))
        self.assertEqual(self.mode(CONFIG), 0o640)
        self.ssh_config("home", "--remove")
        self.assertEqual(self.tree(), before)

    def test_a_symbolic_link_stays_one_and_what_it_leads_to_changes(self):
        os.makedirs(self.path("dotfiles"))
        os.chmod(self.dot_ssh, 0o700)
        self.write("dotfiles/ssh", "Host a\n", mode=0o600)
        os.symlink("dotfiles/ssh", self.path(CONFIG))
        before = self.tree()
        self.ssh_config("home", "--install")
        self.assertEqual(os.readlink(self.path(CONFIG)), "dotfiles/ssh")
        self.assertEqual(self.read("dotfiles/ssh"), INCLUDE + "Host a\n")
        self.ssh_config("home", "--remove")
        self.assertEqual(self.tree(), before)
        os.remove(self.path("dotfiles/ssh"))
        done = self.ssh_config("home", "--install", check=False)
        self.assertEqual(done.returncode, NO_INPUT)
        self.assertIn("leads nowhere", done.stderr)
        self.assertFalse(os.path.exists(self.path(OURS)))

    def test_the_line_stays_until_the_last_door_is_removed_also_when_its_key_is_gone(self):
        self.at_home(program("oneknock"), "import", "--as", "office", self.door.add("desk"))
        self.ssh_config("home", "--install")
        self.ssh_config("office", "--install")
        self.assertEqual(self.read(CONFIG).count(INCLUDE), 1)
        self.assertEqual(self.effect("office")["proxycommand"], "oneknock connect --fdpass office ssh")
        self.ssh_config("home", "--remove")
        self.assertNotIn("proxycommand", self.effect())
        self.assertIn("proxycommand", self.effect("office"))
        self.at_home(program("oneknock"), "remove", "office")
        self.ssh_config("office", "--remove")
        self.assertEqual(os.listdir(self.dot_ssh), [])

    def test_a_file_that_is_not_ours_is_left_alone(self):
        os.makedirs(self.path("oneknock.d"), mode=0o700)
        self.write(OURS, "Host home\n    User bob\n")
        before = self.tree()
        for action in ("--install", "--remove"):
            done = self.ssh_config("home", action, check=False)
            self.assertEqual(done.returncode, CANNOT_CREATE)
            self.assertIn("was not made by oneknock", done.stderr)
            self.assertEqual(self.tree(), before)

    def test_another_port_is_told_and_a_service_of_udp_refused(self):
        self.assertIn("    Port 2222\n", self.ssh_config("home", "tcp/2222").stdout)
        for words in (("home", "udp/53"), ("home", "shs"), (self.key,), ("home", "--install", "--remove")):
            self.assertEqual(self.ssh_config(*words, check=False).returncode, USAGE, words)
        self.assertEqual(self.ssh_config("hoem", check=False).returncode, NO_INPUT)

    def test_a_key_with_a_passphrase_needs_none(self):
        secret = self.net.path("secret")
        with open(secret, "w") as file:
            file.write("open sesame\n")
        self.at_home("sh", "-c", f"oneknock passphrase home --key-fd 3 3<{secret}")
        self.assertIn("locked", json.dumps(self.key_kind()))
        self.assertIn("ProxyCommand", self.ssh_config("home").stdout)

    def key_kind(self):
        with open(os.path.join(self.home, ".config/oneknock/home.json")) as file:
            return json.load(file)["oneknock"]


if __name__ == "__main__":
    main()

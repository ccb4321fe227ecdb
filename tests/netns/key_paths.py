"""However a change of key files comes about, it is seen: folders swapped, links pointed elsewhere, mounts, what is gone.

      client 10.77.0.2  c0 ---- s0  10.77.0.1  server (oneknockd; services on tcp 22 and 80)
"""

import os
import shutil
import signal
import time

from door import Daemon, knock
from harness import eventually, main, run
from key_house import KeyHouse, edit


class KeyPaths(KeyHouse):
    def take_out_and_once_more(self, change, again=lambda: None):
        """Without a word to the daemon: the change takes laptop out, and desk is revoked afterwards."""
        knock(self.client, self.keys["laptop"], "ssh", "--for", "60s", "--wait")
        change()
        self.assertLess(self.await_out("laptop"), 5 * self.slowness())
        self.assertTrue(self.opens("desk"))
        knock(self.client, self.keys["desk"], "ssh", "--for", "60s", "--wait")
        edit(os.path.realpath(self.path("desk")), revoked=True)
        again()
        self.assertLess(self.await_out("desk"), 5 * self.slowness())
        self.assertTrue(self.opens("phone"))

    @staticmethod
    def slowness():
        """How much longer than promised it may take, on a machine that does many other things."""
        return max(1.0, os.getloadavg()[0])

    def revoked_copy(self, folder, to):
        shutil.copytree(folder, to, symlinks=True)
        for path, _, names in os.walk(to):
            if "laptop.json" in names:
                edit(os.path.join(path, "laptop.json"), revoked=True)
        return to

    def test_a_folder_that_takes_the_place_of_the_doors(self):
        self.start()
        new = self.revoked_copy(self.door.folder, self.door.folder + "-new")

        def swap():
            os.rename(self.door.folder, self.door.folder + "-old")
            os.rename(new, self.door.folder)

        self.take_out_and_once_more(swap)

    def test_a_folder_above_the_doors_that_is_a_link(self):
        release = self.net.path("release-1")
        os.mkdir(release)
        os.rename(self.door.folder, os.path.join(release, "home"))
        os.symlink(os.path.join("current", "home"), self.door.folder)
        os.symlink("release-1", self.net.path("current"))
        self.start()
        self.revoked_copy(release, self.net.path("release-2"))

        def point_elsewhere():
            os.symlink("release-2", self.net.path("next"))
            os.rename(self.net.path("next"), self.net.path("current"))

        self.take_out_and_once_more(point_elsewhere)

    def test_a_folder_of_clients_that_becomes_a_link(self):
        self.start()
        new = self.revoked_copy(self.clients, self.net.path("elsewhere"))

        def replace():
            os.rename(self.clients, self.clients + ".old")
            os.symlink(new, self.clients)

        self.take_out_and_once_more(replace)

    def test_files_that_are_links_of_a_projected_volume(self):
        """As Kubernetes has them: NAME.json -> ..data/NAME.json, ..data -> ..VERSION."""
        first = os.path.join(self.clients, "..1")
        os.mkdir(first)
        for name in self.keys:
            os.rename(self.path(name), os.path.join(first, name + ".json"))
            os.symlink(f"..data/{name}.json", self.path(name))
        os.symlink("..1", os.path.join(self.clients, "..data"))
        self.start()
        self.revoked_copy(first, os.path.join(self.clients, "..2"))

        def swap():
            os.symlink("..2", os.path.join(self.clients, "..tmp"))
            os.rename(os.path.join(self.clients, "..tmp"), os.path.join(self.clients, "..data"))
            shutil.rmtree(first)

        self.take_out_and_once_more(swap)

    def test_files_that_are_links_out_of_the_folder(self):
        vault = self.net.path("vault")
        os.makedirs(os.path.join(vault, "keys"))
        for name in self.keys:
            os.rename(self.path(name), os.path.join(vault, "keys", name + ".json"))
            os.symlink(os.path.join(vault, "keys", name + ".json"), self.path(name))
        self.start()
        self.take_out_and_once_more(lambda: os.remove(os.path.join(vault, "keys", "laptop.json")))

    def mount(self, *words):
        run("mount", *words)
        self.addCleanup(run, "umount", words[-1], check=False)

    def await_as(self, expected):
        """That exactly these clients are let in, within the time that is promised."""
        began = time.monotonic()
        eventually(lambda: {name for name in self.keys if self.is_accepted(name)} == expected,
                   lambda: f"{expected} to be let in, and nobody else")
        self.assertLess(time.monotonic() - began, 6 * self.slowness())  # a second for the knocks
        self.daemon.ctl("revoke", "--all")

    def is_accepted(self, name):
        """What opens() says, without a look at the port: what is open may be closed at any moment."""
        judged = lambda status: status["accepted"] + sum(status["refused"].values())
        before = self.daemon.status()
        knock(self.client, self.keys[name], "ssh", "--for", "60s")
        eventually(lambda: judged(self.daemon.status()) > judged(before), f"the knock of {name} to be judged")
        return self.daemon.accepted() > before["accepted"]

    def test_what_inotify_does_not_see(self):
        """Mounts: a file over a client's, a folder over the clients' and over the door's, an overlay; and each taken away again."""
        other = self.net.path("other.json")
        shutil.copy(self.path("laptop"), other)
        edit(other, revoked=True)
        self.start()
        self.take_out_and_once_more(lambda: self.mount("--bind", other, self.path("laptop")))
        run("umount", self.path("laptop"))
        edit(self.path("desk"), revoked=False)
        self.await_as({"laptop", "desk", "phone"})

        over_clients = self.revoked_copy(self.clients, self.net.path("mounted"))
        self.take_out_and_once_more(lambda: self.mount("--bind", over_clients, self.clients))
        run("umount", self.clients)
        self.await_as({"laptop", "desk", "phone"})

        over_door = self.revoked_copy(self.door.folder, self.net.path("mounted-door"))
        self.take_out_and_once_more(lambda: self.mount("--bind", over_door, self.door.folder))
        run("umount", self.door.folder)
        self.await_as({"laptop", "desk", "phone"})

    def test_a_file_system_mounted_over_the_clients(self):
        """One with nothing in it, one with other files, and an overlay of which the upper folder says more."""
        self.start()
        self.mount("-t", "tmpfs", "none", self.clients)
        self.await_as(set())
        run("umount", self.clients)
        self.await_as({"laptop", "desk", "phone"})
        if run("grep", "-qw", "overlay", "/proc/filesystems", check=False).returncode != 0:
            self.skipTest("no overlayfs here")
        layers = self.net.path("layers")
        os.mkdir(layers)
        self.mount("-t", "tmpfs", "none", layers)
        for name in ("upper", "work"):
            os.mkdir(os.path.join(layers, name))
        edit_into = os.path.join(layers, "upper", "laptop.json")
        shutil.copy(self.path("laptop"), edit_into)
        edit(edit_into, revoked=True)
        self.take_out_and_once_more(lambda: self.mount(
            "-t", "overlay", "overlay", "-o", f"lowerdir={self.clients},upperdir={layers}/upper,workdir={layers}/work", self.clients))
        run("umount", self.clients)
        self.await_as({"laptop", "desk", "phone"})

    def test_a_mount_on_the_host_that_reaches_the_daemons_own_mount_namespace(self):
        """As a unit of systemd's has it: a slave of the host's."""
        shared = self.net.path("shared")
        os.mkdir(shared)
        self.mount("-t", "tmpfs", "none", shared)
        run("mount", "--make-shared", shared)
        shutil.move(self.door.folder, os.path.join(shared, "home"))
        os.symlink(os.path.join("shared", "home"), self.door.folder)
        other = self.revoked_copy(self.clients, self.net.path("mounted"))
        self.daemon = Daemon(self.net, self.server, self.door, within=("unshare", "-m", "--propagation", "slave"))
        self.take_out_and_once_more(lambda: self.mount("--bind", other, self.clients))
        run("umount", self.clients)
        self.await_as({"laptop", "desk", "phone"})

    def test_folders_above_the_doors_that_are_renamed_and_made_again(self):
        upper = self.net.path("a", "b")
        os.makedirs(upper)
        os.rename(self.door.folder, os.path.join(upper, "home"))
        os.symlink(os.path.join("a", "b", "home"), self.door.folder)
        self.start()

        def rename_the_top():
            new = self.revoked_copy(self.net.path("a"), self.net.path("a-new"))
            os.rename(self.net.path("a"), self.net.path("a-old"))
            os.rename(new, self.net.path("a"))

        self.take_out_and_once_more(rename_the_top)

        def make_again():
            kept = self.net.path("kept")
            shutil.copytree(self.net.path("a"), kept)
            shutil.rmtree(self.net.path("a"))
            shutil.copytree(kept, self.net.path("a"))

        make_again()
        edit(self.path("phone"), revoked=True)
        self.await_as(set())

    def test_a_folder_that_is_gone_takes_all_with_it(self):
        self.start()
        knock(self.client, self.keys["laptop"], "ssh", "--for", "60s", "--wait")
        os.rename(self.clients, self.clients + ".away")
        self.await_out("laptop")
        self.assertIn("clients.d", self.wrong()[0]["problem"])
        os.rename(self.clients + ".away", self.clients)
        eventually(lambda: not self.wrong(), "the folder to be found again")
        self.assertTrue(self.opens("laptop"))

    def test_a_daemon_that_found_nothing_new_says_nothing(self):
        self.start()
        os.kill(self.daemon.process.pid, signal.SIGHUP)
        self.daemon.wait_for("^reloaded: 3 clients, 0 new or changed, 0 gone$")
        time.sleep(7)  # two looks
        self.assertEqual(self.daemon.process.count("^reloaded:"), 1)


if __name__ == "__main__":
    main()

"""The page in a real browser against the daemon.

      client (browser)  10.77.0.2, fd77::2   c0 ---- s0   10.77.0.1, fd77::1  server (oneknockd; a web server on tcp 80)

The browser is Chromium, or what ONEKNOCK_BROWSER names: chromium or firefox. With ONEKNOCK_SCREENSHOTS=FOLDER it leaves
pictures there.
"""

import os
import shutil
import socketserver
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../netns"))
from browser import BROWSERS  # noqa: E402
from door import Daemon, Door  # noqa: E402
from harness import NetworkTest, main, program, run, sleep_until  # noqa: E402
from traffic import CLOSED, OPEN, SILENT  # noqa: E402

PAGE = os.path.join(HERE, "../../client/web/page.html")
SEEN = "Open, it seems: the address answers."  # by http; by https it would be sure
BROWSER = os.environ.get("ONEKNOCK_BROWSER", "chromium")
PANEL = b"<!DOCTYPE html><title>panel</title><h1 id=panel>The panel</h1>"


class Panel(socketserver.ThreadingTCPServer):
    """A web service of one page, for both families."""

    address_family = socketserver.socket.AF_INET6
    allow_reuse_address = daemon_threads = True

    class Answer(socketserver.StreamRequestHandler):
        def handle(self):
            while (self.rfile.readline() or b"\r\n") != b"\r\n":
                pass
            self.wfile.write(b"HTTP/1.0 200 OK\r\nContent-Type: text/html\r\nContent-Length: %d\r\n\r\n%s" % (len(PANEL), PANEL))

    def __init__(self, namespace):
        with namespace:
            super().__init__(("::", 80), self.Answer)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def stop(self):
        self.shutdown()
        self.server_close()


class Page(NetworkTest):
    def build(self):
        net = self.net
        self.server, self.client = net.namespace("server"), net.namespace("client")
        net.link(self.server, "s0", ["10.77.0.1/24", "fd77::1/64"], self.client, "c0", ["10.77.0.2/24", "fd77::2/64"])
        net.keep(Panel(self.server), Panel.stop)
        os.chmod(net.folder, 0o755)

    def start(self, address="10.77.0.1", *options, closed="reset"):
        """The door, its daemon, the page of a client and a browser that shows it."""
        self.door = Door(self.net, address, ("web=tcp/80", "ssh=tcp/22"), firewall={"mode": "guard", "closed": closed})
        self.daemon = Daemon(self.net, self.server, self.door)
        self.page = self.net.path("phone.html")
        made = run(program("oneknock-keygen"), "add", "--dir", self.door.folder, "phone", "--allow", "web", "--allow", "ssh",
                   "--source", "observed", "--max-duration", "2m", "--page", self.page, "--page-template", PAGE, *options)
        self.passphrase = made.stdout.removeprefix("passphrase: ").strip()
        self.browser = BROWSERS[BROWSER](self.net, self.client)
        self.browser.go("file://" + self.page)

    def press_open(self, words):
        self.browser.run("document.getElementById('form').requestSubmit()")
        return self.browser.wait_for("status", words)

    def picture(self, name):
        folder = os.environ.get("ONEKNOCK_SCREENSHOTS")
        if folder:
            self.browser.screenshot(os.path.join(folder, name + ".png"))

    def web(self, address="10.77.0.1"):
        """Whether the browser's machine gets a connection to the service."""
        with self.client:
            try:
                socketserver.socket.create_connection((address, 80), 3).close()
                return OPEN
            except ConnectionRefusedError:
                return CLOSED
            except TimeoutError:
                return SILENT

    def test_a_person_with_the_file_and_its_passphrase_gets_to_the_panel(self):
        self.start()
        self.assertEqual(self.web(), CLOSED)
        self.picture("page-locked")
        self.assertEqual(self.browser.text("door"), "home")
        self.browser.type("passphrase", self.passphrase.title())  # as a phone's keyboard has it
        self.press_open(SEEN)
        self.picture("page-open")
        self.daemon.wait_for("^accepted: phone: open tcp/80 for 10.77.0.2, 60s, from 10.77.0.2")
        self.browser.click("go")
        self.browser.wait_for("panel", "The panel")
        self.picture("page-panel")

    def test_it_closes_again_without_the_passphrase_being_typed_again(self):
        self.start()
        self.browser.type("passphrase", self.passphrase)
        self.press_open(SEEN)
        self.browser.click("close")
        self.browser.wait_for("status", "Sent: close.")
        self.assert_becomes(CLOSED, self.web)
        self.daemon.wait_for("^accepted: phone: close tcp/80 for 10.77.0.2")

    def test_a_port_that_browsers_refuse_is_said_to_be_sent_with_the_line_to_copy(self):
        self.start()
        self.browser.run("document.getElementById('service').value = 'ssh'")
        self.browser.type("passphrase", self.passphrase)
        self.press_open("Sent. Nothing is confirmed")
        self.assertEqual(self.browser.text("command"), "ssh 10.77.0.1")
        self.daemon.wait_for("^accepted: phone: open tcp/22 for 10.77.0.2")
        self.picture("page-ssh")

    def test_a_wrong_passphrase_sends_nothing(self):
        self.start()
        self.browser.type("passphrase", "wrong")
        self.press_open("The passphrase is wrong.")
        self.assertEqual(self.daemon.status()["capture"]["symbols"], 0)
        self.picture("page-wrong")
        self.browser.run("document.getElementById('passphrase').value = ''")
        self.browser.type("passphrase", self.passphrase)
        self.press_open(SEEN)

    def test_an_expired_key_says_so_and_sends_nothing(self):
        self.start()
        with open(self.page, encoding="utf-8") as file:
            text = file.read().replace('"expires": null', '"expires": "2020-01-01T00:00:00Z"')
        with open(self.page, "w", encoding="utf-8") as file:
            file.write(text)
        self.browser.go("file://" + self.page)
        self.browser.wait_for("status", "this key expired at 2020-01-01")
        self.assertEqual(self.daemon.status()["capture"]["symbols"], 0)

    def test_IPv6(self):
        self.start("fd77::1")
        self.browser.type("passphrase", self.passphrase)
        self.press_open(SEEN)
        self.daemon.wait_for("^accepted: phone: open tcp/80 for fd77::2, 60s, from fd77::2")

    def test_twenty_loads_in_a_row_all_open(self):
        self.start()
        for _ in range(20):
            self.browser.go("file://" + self.page)
            self.browser.type("passphrase", self.passphrase)
            self.press_open(SEEN)
            self.daemon.ctl("revoke", "--all")
        self.assertEqual((self.daemon.accepted(), self.daemon.refused()), (20, {}))

    def drop_what_nobody_listens_to(self):
        self.server.nft("table inet quiet { chain input { type filter hook input priority 10; "
                        "tcp flags & (syn | ack) == syn tcp dport != { 22, 80 } drop; "
                        "}; chain output { type filter hook output priority 0; meta l4proto icmp drop; }; }")

    def test_where_all_is_dropped_it_opens_and_the_repeats_of_the_kernel_are_no_replays(self):
        self.start(closed="drop")
        self.drop_what_nobody_listens_to()
        self.browser.type("passphrase", self.passphrase)
        self.press_open(SEEN)
        sleep_until(time.time() + 8)  # SYNs come again after 1, 3 and 7 s; of Chromium's, aborted or not
        self.assertEqual((self.daemon.accepted(), self.daemon.refused()), (1, {}))


if __name__ == "__main__":
    if BROWSER not in BROWSERS or not shutil.which(BROWSERS[BROWSER].program):
        sys.exit(f"there is no {BROWSER} that can be driven")
    main(limit=1800)

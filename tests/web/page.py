"""The page in a real browser against the daemon.

      client (browser)  10.77.0.2, fd77::2   c0 ---- s0   10.77.0.1, fd77::1  server (oneknockd; a web server on tcp 80)

The browser is Chromium, or what ONEKNOCK_BROWSER names: chromium, firefox or webkit. With ONEKNOCK_SCREENSHOTS=FOLDER it leaves
pictures there.
"""

import contextlib
import os
import shutil
import socketserver
import ssl
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../netns"))
from browser import BROWSERS  # noqa: E402
from door import Daemon, Door  # noqa: E402
from frames import Capture, ports_of  # noqa: E402
from harness import NetworkTest, eventually, main, program, run, sleep_until  # noqa: E402
from traffic import CLOSED, OPEN, SILENT  # noqa: E402

PAGE = os.path.join(HERE, "../../client/web/page.html")
SEEN = "Open, it seems: the address answers."  # by http
SURE = "Open: the service answers."
BROWSER = os.environ.get("ONEKNOCK_BROWSER", "chromium")
HOSTED = "https://localhost:8443/"
PANEL = b"<!DOCTYPE html><title>panel</title><h1 id=panel>The panel</h1>"


class WebServer(socketserver.ThreadingTCPServer):
    """A web service of one page, for both families; with a certificate it speaks TLS alone. Keeps what it was asked for."""

    address_family = socketserver.socket.AF_INET6
    allow_reuse_address = daemon_threads = True

    class Answer(socketserver.StreamRequestHandler):
        def handle(self):
            with contextlib.suppress(OSError):  # an attempt alone, or a browser that does not like the certificate
                while (line := self.rfile.readline() or b"\r\n") != b"\r\n":
                    self.server.lines.append(line)
                content = self.server.content
                self.wfile.write(b"HTTP/1.0 200 OK\r\nContent-Type: text/html\r\nContent-Length: %d\r\n\r\n%s"
                                 % (len(content), content))

    def __init__(self, namespace, content=PANEL, port=80, certificate=None):
        self.content, self.lines = content, []
        with namespace:
            super().__init__(("::", port), self.Answer)
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            self.socket = context.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def stop(self):
        self.shutdown()
        self.server_close()


class Page(NetworkTest):
    def build(self):
        net = self.net
        self.server, self.client = net.namespace("server"), net.namespace("client")
        net.link(self.server, "s0", ["10.77.0.1/24", "fd77::1/64"], self.client, "c0", ["10.77.0.2/24", "fd77::2/64"])
        net.keep(WebServer(self.server), WebServer.stop)
        os.chmod(net.folder, 0o755)

    def start(self, address="10.77.0.1", *options, closed="reset"):
        """The door, its daemon, the page of a client and a browser that shows it."""
        self.start_door(address, closed)
        self.page = self.net.path("phone.html")
        made = self.add_phone("--page", self.page, "--page-template", PAGE, *options)
        self.passphrase = made.stdout.removeprefix("passphrase: ").strip()
        self.browser = BROWSERS[BROWSER](self.net, self.client)
        self.browser.go("file://" + self.page)

    def start_door(self, address="10.77.0.1", closed="reset", span="1024-65535", web="tcp/80"):
        firewall = {"mode": "guard", "closed": closed}
        self.door = Door(self.net, address, (f"web={web}", "ssh=tcp/22"), span=span, firewall=firewall)
        self.daemon = Daemon(self.net, self.server, self.door)

    def add_phone(self, *handout):
        return run(program("oneknock-keygen"), "add", "--dir", self.door.folder, "phone", "--allow", "web", "--allow", "ssh",
                   "--source", "observed", "--max-duration", "2m", *handout)

    def start_hosted(self):
        """The page without a key on a web server of its own, at the client's own address, and a link with a key."""
        self.start_door(web="tcp/443")
        certificate = self.net.path("certificate.pem")
        run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
            "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:10.77.0.1", "-keyout", certificate, "-out",
            certificate + ".crt")
        run("sh", "-c", f"cat {certificate}.crt >>{certificate}")
        with open(PAGE, "rb") as file:
            self.host = self.net.keep(WebServer(self.client, file.read(), 8443, certificate), WebServer.stop)
        self.net.keep(WebServer(self.server, PANEL, 443, certificate), WebServer.stop)
        picture = self.net.path("phone.png")
        made = self.add_phone("--qr", "--png", picture, "--page-url", HOSTED)
        self.passphrase = made.stdout.removeprefix("passphrase: ").strip()
        self.link = run("zbarimg", "--raw", "-q", picture).stdout.strip()
        self.browser = BROWSERS[BROWSER](self.net, self.client)

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

    def address_shown(self):
        return self.browser.run("return location.href")

    def wait_until_taken(self):
        eventually(lambda: self.address_shown() == HOSTED, lambda: f"the key to be taken out of {self.address_shown()}")

    def test_a_page_by_https_takes_the_key_out_of_its_address_and_opens_what_it_can_be_sure_of(self):
        self.start_hosted()
        self.browser.go(self.link)
        self.wait_until_taken()
        self.assertEqual(self.browser.text("door"), "home")
        self.browser.type("passphrase", self.passphrase)
        self.press_open(SURE)
        self.daemon.wait_for("^accepted: phone: open tcp/443 for 10.77.0.2, 60s, from 10.77.0.2")
        fetched = self.browser.run("return performance.getEntriesByType('resource').map((entry) => entry.name)")
        self.assertEqual([url for url in fetched if not url.startswith(("https://10.77.0.1", "blob:"))], [])
        self.browser.click("go")
        self.browser.wait_for("panel", "The panel")

    def test_the_key_of_a_link_is_neither_in_the_history_of_the_tab_nor_sent_to_the_pages_server(self):
        self.start_hosted()
        self.browser.go("about:blank")
        before = self.browser.run("return history.length")
        self.browser.go(self.link)
        self.wait_until_taken()
        self.assertLessEqual(self.browser.run("return history.length"), before + 1)
        self.browser.go(self.link)  # to a page that is open already
        self.wait_until_taken()
        self.assertEqual(self.browser.text("door"), "home")
        self.browser.go("about:blank")
        for _ in range(self.browser.run("return history.length") - 1):
            self.browser.run("history.back()")
            sleep_until(time.time() + 1)
            self.assertNotIn("key=", self.address_shown())
        self.assertIn(b"GET / HTTP/1.1\r\n", self.host.lines)
        self.assertEqual([line for line in self.host.lines if b"key=" in line], [])

    def test_a_damaged_link_says_so(self):
        self.start_hosted()
        self.browser.go(self.link[:-8])
        self.browser.wait_for("status", "damaged or cut off")
        self.wait_until_taken()

    # Of 64 ports of this span some 0.3 are of those that browsers refuse (Fetch, "port blocking").
    def test_a_knock_that_has_ports_which_browsers_refuse_opens(self):
        self.start_door(span="1-16384")
        page = self.net.path("phone.html")
        passphrase = self.add_phone("--page", page, "--page-template", PAGE).stdout.removeprefix("passphrase: ").strip()
        self.browser = BROWSERS[BROWSER](self.net, self.client)
        self.browser.go("file://" + page)
        self.browser.run("document.getElementById('service').value = 'ssh'")
        self.browser.type("passphrase", passphrase)
        syns = Capture(self.net, self.server, "s0", "tcp[tcpflags] & (tcp-syn | tcp-ack) == tcp-syn and dst host 10.77.0.1")
        seen = 0
        for knocks in range(1, 61):
            self.press_open("Sent. Nothing is confirmed")
            self.daemon.wait_for("^accepted: phone: open tcp/22 for 10.77.0.2", times=knocks)
            sleep_until(time.time() + 0.3)
            packets = syns.ip_packets(seen)
            ports = {ports_of(packet)[1] for packet in packets[seen:]}
            seen = len(packets)
            self.assertGreater(len(ports), 36)
            if len(ports) < 64:
                return
        self.fail("in 60 knocks was no port that the browser refuses")

    def test_it_opens_where_the_processor_is_slow(self):
        self.start()
        self.browser.type("passphrase", self.passphrase)
        with self.browser.throttled(0.2):
            self.press_open(SEEN)
        self.daemon.wait_for("^accepted: phone: open tcp/80 for 10.77.0.2")
        self.assertEqual(self.web(), OPEN)

    def drop_what_nobody_listens_to(self):
        self.server.nft("table inet quiet { chain input { type filter hook input priority 10; "
                        "tcp flags & (syn | ack) == syn tcp dport != { 22, 80 } drop; "
                        "}; chain output { type filter hook output priority 0; meta l4proto icmp drop; }; }")

    def opens_once_for_a_minute(self):
        """SYNs that nothing answers come again after 1, 3, 7, 15, 31 and 63 s, of Chromium's, aborted or not."""
        self.browser.type("passphrase", self.passphrase)
        self.press_open(SEEN)
        junk = self.daemon.junk()
        sleep_until(time.time() + 66)
        self.assertEqual((self.daemon.accepted(), self.daemon.refused()), (1, {}))
        self.assertLessEqual(self.daemon.junk() - junk, 2)

    def test_where_all_is_dropped_it_opens_and_the_repeats_of_the_kernel_are_no_replays(self):
        self.start(closed="drop")
        self.drop_what_nobody_listens_to()
        self.opens_once_for_a_minute()

    def test_where_all_is_reset_it_opens_and_nothing_of_it_comes_late(self):
        self.start(closed="reset")
        self.opens_once_for_a_minute()


if __name__ == "__main__":
    if BROWSER not in BROWSERS or not shutil.which(BROWSERS[BROWSER].program):
        sys.exit(f"there is no {BROWSER} that can be driven")
    main(limit=1800)

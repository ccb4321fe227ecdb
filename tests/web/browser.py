"""Browsers in a network namespace: Chromium and WebKitGTK driven by WebDriver over HTTP, Firefox by Marionette over TCP.

Both are the W3C's WebDriver, whose commands they call differently. What drives them listens on the namespace's loopback.
"""

import base64
import contextlib
import glob
import json
import os
import signal
import socket
import threading
import urllib.error
import urllib.request

from harness import eventually

ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
PATIENCE = 120  # seconds for a command; a browser starts slowly on a machine that has much else to do


def _descendants(pid):
    found = []
    with contextlib.suppress(OSError):
        for task in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{task}/children", encoding="ascii") as file:
                for child in file.read().split():
                    found += [int(child), *_descendants(child)]
    return found


class Browser:
    """What the tests do with either; `_ask` is the browser's own. Certificates that nobody signed are accepted."""

    def _processes(self):
        """Of the browser, without its driver."""
        raise NotImplementedError

    def _ask(self, command, **parameters):
        raise NotImplementedError

    def _find(self, identity):
        return self._ask("FindElement", using="css selector", value=f"#{identity}")

    def go(self, address):
        self._ask("Navigate", url=address)

    def run(self, script, *arguments):
        """What the script of the page's own world returns."""
        return self._ask("ExecuteScript", script=script, args=list(arguments))

    def click(self, identity):
        self._ask("ElementClick", id=self._find(identity))

    def type(self, identity, text):
        self._ask("ElementSendKeys", id=self._find(identity), text=text)

    def text(self, identity):
        return self._ask("GetElementText", id=self._find(identity))

    def wait_for(self, identity, words, timeout=60.0):
        """Until the element says something that contains the words; what it says."""
        eventually(lambda: words in self._text_so_far(identity), lambda: f"{words!r}; it says {self._text_so_far(identity)!r}",
                   timeout, 0.05)
        return self.text(identity)

    def _text_so_far(self, identity):
        """Nothing while another page is on its way."""
        try:
            return self.text(identity)
        except AssertionError:
            return ""

    @contextlib.contextmanager
    def throttled(self, part):
        """All of the browser's processes stand still but for that part of each twentieth of a second."""
        end = threading.Event()

        def send(number):
            for pid in self._processes():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, number)

        def stop_and_go():
            while not end.wait(0.05 * part):
                send(signal.SIGSTOP)
                end.wait(0.05 * (1 - part))
                send(signal.SIGCONT)

        thread = threading.Thread(target=stop_and_go)
        thread.start()
        try:
            yield
        finally:
            end.set()
            thread.join()
            send(signal.SIGCONT)

    def screenshot(self, path):
        with open(path, "wb") as file:
            file.write(base64.b64decode(self._ask("TakeScreenshot")))


class OverHttp(Browser):
    """One that has a driver."""

    program = None
    _commands = {"FindElement": ("POST", "/element"), "Navigate": ("POST", "/url"), "ExecuteScript": ("POST", "/execute/sync"),
                 "ElementClick": ("POST", "/element/{id}/click"), "ElementSendKeys": ("POST", "/element/{id}/value"),
                 "GetElementText": ("GET", "/element/{id}/text"), "TakeScreenshot": ("GET", "/screenshot")}

    def __init__(self, net, namespace, wanted, env=None, port=9515):
        self._namespace = namespace
        self._driver = net.start(namespace, self.program, f"--port={port}", env=env)
        self._root = f"http://127.0.0.1:{port}"
        eventually(self._is_ready, "the driver to be ready")
        wanted = {"acceptInsecureCerts": True, **wanted}
        self._root += "/session/" + self._send("POST", "/session", {"capabilities": {"alwaysMatch": wanted}})["sessionId"]
        net.keep(self, lambda browser: browser._send("DELETE", ""))

    def _processes(self):
        return _descendants(self._driver.pid)

    def _is_ready(self):
        try:
            return self._send("GET", "/status")["ready"]
        except OSError:
            return False

    def _ask(self, command, **parameters):
        method, path = self._commands[command]
        answer = self._send(method, path.format(**parameters), parameters if method == "POST" else None)
        return answer[ELEMENT] if command == "FindElement" else answer

    def _send(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        asked = urllib.request.Request(self._root + path, data, {"Content-Type": "application/json"}, method=method)
        try:
            with self._namespace, urllib.request.urlopen(asked, timeout=PATIENCE) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as problem:
            raise AssertionError(f"{method} {path}: {problem.read().decode()[:2000]}") from None


class Chromium(OverHttp):
    program = "chromedriver"
    _arguments = ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
                  "--disable-background-networking", "--disable-component-update", "--window-size=412,915")

    def __init__(self, net, namespace):
        super().__init__(net, namespace, {"browserName": "chrome", "goog:chromeOptions": {"args": list(self._arguments)}})


class WebKit(OverHttp):
    """GTK's browser for tests, on a screen that nobody sees."""

    program = "WebKitWebDriver"
    _browsers = "/usr/lib/*/webkit2gtk-4.*/MiniBrowser"

    def __init__(self, net, namespace):
        screen = net.start(namespace, "Xvfb", "-displayfd", "1", "-screen", "0", "412x915x24", "-nolisten", "tcp")
        home = net.path("webkit")
        os.mkdir(home)
        environment = {"HOME": home, "DISPLAY": ":" + screen.wait_for(r"^[0-9]+$"), "GDK_BACKEND": "x11", "NO_AT_BRIDGE": "1"}
        options = {"binary": sorted(glob.glob(self._browsers))[-1], "args": ["--automation"]}
        super().__init__(net, namespace, {"browserName": "MiniBrowser", "webkitgtk:browserOptions": options}, environment)


class Firefox(Browser):
    program = "firefox-esr"

    def __init__(self, net, namespace, port=2828):
        profile = net.path("firefox")
        os.mkdir(profile)
        # A home of its own; root's may belong to somebody else where tests are run by sudo.
        self._process = net.start(namespace, self.program, "--headless", "--marionette", "--profile", profile, "--width=412", "--height=915",
                  "--no-remote", env={"HOME": profile})
        self._connection = eventually(lambda: self._connect(namespace, port), "Firefox to listen", PATIENCE)
        self._number = 0
        net.keep(self._connection, socket.socket.close)
        self._receive()  # its greeting
        self._ask("NewSession", acceptInsecureCerts=True)

    def _processes(self):
        return [self._process.pid, *_descendants(self._process.pid)]

    @staticmethod
    def _connect(namespace, port):
        try:
            with namespace:
                return socket.create_connection(("127.0.0.1", port), PATIENCE)
        except OSError:
            return None

    def _receive(self):
        """A message is its length, a colon, and JSON."""
        length = b""
        while not length.endswith(b":"):
            length += self._connection.recv(1)
        left, data = int(length[:-1]), b""
        while len(data) < left:
            data += self._connection.recv(left - len(data))
        return json.loads(data)

    def _ask(self, command, **parameters):
        self._number += 1
        message = json.dumps([0, self._number, "WebDriver:" + command, parameters]).encode()
        self._connection.sendall(b"%d:%s" % (len(message), message))
        _, _, problem, answer = self._receive()
        if problem:
            raise AssertionError(f"{command}: {problem['message']}")
        value = answer.get("value") if isinstance(answer, dict) and "value" in answer else answer
        return value[ELEMENT] if command == "FindElement" else value


BROWSERS = {"chromium": Chromium, "firefox": Firefox, "webkit": WebKit}

"""The drills of docs/operations.md as a test reads them: to the last word, so that none can be written there untested."""

import os
import re

# OPERATIONS_MD: of a copy, to see the tests fail.
DOCUMENT = os.environ.get("OPERATIONS_MD") or os.path.join(os.path.dirname(__file__), "../../docs/operations.md")
SECTION = "## Keys: rotation and three drills\n"


class Step:
    """Words and code of a step, in their order. At the end of `with` nothing may be left."""

    def __init__(self, name, text):
        self.name = name
        # Code that is indented, a line at a time without its comment, and code in a line.
        text = re.sub(r"^ {4,}(.*?)(?: +# .*)?$", r"`\1`", text, flags=re.M)
        self._rest = re.sub(r"\s+", " ", text).strip()

    def says(self, words):
        if not self._rest.startswith(words):
            raise AssertionError(f"{self.name}: the test follows {words!r}; the document says {self._rest!r}")
        self._rest = self._rest[len(words):].strip()

    def code(self, start):
        """The code that comes next; it starts so."""
        found = re.match("`([^`]+)`", self._rest)
        if not found or not found[1].startswith(start):
            raise AssertionError(f"{self.name}: the test knows the code {start!r}; the document says {self._rest!r}")
        self._rest = self._rest[found.end():].strip()
        return found[1]

    def skip_to(self, words):
        """Behind these words, what stands before them passed by."""
        self.says(self._rest[:self._rest.find(words)] + words)

    def __enter__(self):
        return self

    def __exit__(self, failed, *_):
        if not failed and self._rest:
            raise AssertionError(f"{self.name}: the test does not know what to do with {self._rest!r}")


class Drill:
    """What begins with **title** in the section: step 0, which is what stands before the first number, and its steps.
    At the end of `with` none may be left."""

    def __init__(self, title):
        with open(DOCUMENT) as file:
            section = file.read().split(SECTION)[1].split("\n## ")[0]
        (found,) = [part for part in section.split("\n**") if part.startswith(title + "**")]
        texts = re.split(r"^\d+\. ", found.removeprefix(title + "**"), flags=re.M)
        self._title = title
        self._left = [Step(f"{title}: step {number}", text) for number, text in enumerate(texts)]

    def step(self):
        if not self._left:
            raise AssertionError(f"{self._title}: the document has no further step")
        return self._left.pop(0)

    def __enter__(self):
        return self

    def __exit__(self, failed, *_):
        if not failed and self._left:
            raise AssertionError(f"the test does not know {self._left[0].name}")

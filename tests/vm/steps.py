"""Steps: sentences that are shown to be true, one after the other; each is printed when it is."""

import time
import traceback

class Result:
    def __init__(self, title, sentence, seconds, problem):
        self.title = title
        self.sentence = sentence
        self.seconds = seconds
        self.problem = problem  # empty: it holds


def run_group(kind, machine):
    """Runs the methods of a class that begin with `step_`, in the order in which they stand; their docstrings are what they
    show. A step that fails ends the group: what follows stands on it."""
    steps, title = kind(machine), kind.__doc__
    print(f"\n{title}", flush=True)
    results = []
    for name in [name for name in vars(kind) if name.startswith("step_")]:
        sentence = " ".join(getattr(kind, name).__doc__.split()).rstrip(".")
        begin = time.monotonic()
        problem = _problem_of(getattr(steps, name))
        results.append(Result(title, sentence, time.monotonic() - begin, problem))
        print(f"{'FAIL' if problem else 'ok  '} {results[-1].seconds:6.1f} s  {sentence}", flush=True)
        if problem:
            print(problem, flush=True)
            break
    return results


def _problem_of(step):
    try:
        step()
        return ""
    except Exception:  # whatever it was, the table says it
        return traceback.format_exc(limit=-2)


def expect(condition, what):
    if not condition:
        raise AssertionError(what)


def expect_in(part, text):
    expect(part in text, f"'{part}' is not in:\n{text}")

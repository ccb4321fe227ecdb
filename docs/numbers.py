#!/usr/bin/env python3
"""Prints every probability that docs/protocol.md cites. Needs nothing but Python: python3 docs/numbers.py"""
from math import comb, exp

N = 64  # symbols of a codeword
CODES = (("IPv4", 36), ("IPv6", 48))
SYMBOLS = 64 * 256
WIDEST = 65535 - 1024 + 1


def lost(k, p):
    """More than N - k of N packets are lost, each with probability p."""
    return sum(comb(N, m) * p**m * (1 - p) ** (N - m) for m in range(N - k + 1, N + 1))


def percent(p):
    return f"{p:.1%}" if p > 1e-3 else f"{p:.1e}"


def once_in(p):
    if p > 1e-3:
        return f"{p:7.1%}        "
    return f"once in {1 / p:9,.0f}" if p > 1e-7 else f"once in {1 / p:.0e}"


print("A knock fails by random loss alone")
for loss in (0.05, 0.10, 0.20, 0.30):
    for name, k in CODES:
        print(f"  loss {loss:4.0%}  {name}  one pass {once_in(lost(k, loss))}  two passes {once_in(lost(k, loss**2))}")

print("What the code bears")
for name, k in CODES:
    print(f"  {name}: k = {k}, {N - k} of {N} missing ({(N - k) / N:.0%}), or {(N - k) // 2} wrong and none missing")

share = SYMBOLS / WIDEST
print(f"Of random packets to the widest span {share:.1%} hit a symbol, {1 - share:.1%} mean nothing")
print(f"Two knocks of one hour share {N / 256:.2f} ports on average, at least one with {percent(1 - (255 / 256) ** N)};")
print(f"  two sets of {N} ports drawn freely from the widest span share {N * N / WIDEST:.2f}")
print(f"8 pairs beyond k agree by chance with 256^-8 = {256.0**-8:.0e}")
print(f"Keys tried for a random message, by clients: {', '.join(f'{c:,}: {c / 65536:.2g}' for c in (100, 10000, 100000))}")

print("Junk on the client's own port, widest span: the true pairs overwritten before a burst ends, newest pairs only,")
print("decode budgets not counted; the knock is read if the wrong pairs are at most (64 - k) / 2")
for rate in (10_000, 50_000):
    for milliseconds in (1, 5, 20):
        # A true pair sent at a uniform moment is overwritten by the junk that comes after it and claims its position.
        mean = sum(1 - exp(-rate * milliseconds / 1000 * (i + 0.5) / N * share / N) for i in range(N))
        p = mean / N
        cells = []
        for name, k in CODES:
            read = sum(comb(N, m) * p**m * (1 - p) ** (N - m) for m in range((N - k) // 2 + 1))
            cells.append(f"{name} {percent(read)}")
        print(f"  {rate:6,}/s, burst over {milliseconds:2} ms: {mean:4.1f} wrong on average, read: {', '.join(cells)}")

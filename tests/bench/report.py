"""Puts the figures of a run into docs/benchmarks.md, between the marks that stand there, and draws the plots beside it.
What is written around the figures stays as it is."""

import os
import re

import plot

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir, os.pardir)
SYSTEMS = ("oneknock", "knockd", "fwknop")
NAMES = {"sent": "packets sent", "sent_bytes": "bytes sent", "answers": "packets in answer", "answer_bytes": "bytes in answer",
         "started": "processes started", "executed": "programs executed"}


def table(head, rows):
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)


def _ms(value):
    return "-" if value is None else f"{value:.2f}" if value < 10 else f"{value:.0f}"


def _us(seconds):
    return f"{seconds * 1e6:.1f}" if seconds < 1e-4 else f"{seconds * 1e6:.0f}"


def _percent(count, of):
    return f"{100 * count / of:.1f} %" if of else "-"


def machine(machine):
    return table(("", ""), machine.items())


# --- side by side -------------------------------------------------------------------------------------------------


def knocks(knocks):
    rows = [("client start to accepted connection, median ms", *(_ms(knocks[s]["latency"].get("median_ms")) for s in SYSTEMS)),
            ("the same, 99th percentile", *(_ms(knocks[s]["latency"].get("p99_ms")) for s in SYSTEMS)),
            ("times as long as oneknock (medians)", "1", *(f"**{knocks['times_faster'][s]:.1f}**" for s in SYSTEMS[1:])),
            ("knocks that failed, of " + str(knocks["oneknock"]["latency"]["runs"]), *(knocks[s]["latency"]["failed"] for s in SYSTEMS))]
    for topic in ("packets", "processes", "idle", "memory"):
        for name in knocks["oneknock"][topic]:
            figures = [knocks[s][topic][name] for s in SYSTEMS]
            when = {"packets": " per knock", "processes": " per knock", "idle": " when idle", "memory": " after the knocks"}[topic]
            label = NAMES.get(name, name.replace("_", " ")) + when
            rows.append((label, *(f"{figure:,.2f}".removesuffix(".00") if isinstance(figure, float) else f"{figure:,}" for figure in figures)))
    floor = ", ".join(f"{name.replace('_', ' ')} {_ms(each['median_ms'])} ms" for name, each in knocks["floor"].items())
    return table(("", *SYSTEMS), rows) + f"\n\nWhat the measuring loop itself takes (medians): {floor}."


def commands(knocks):
    parts = []
    for system in SYSTEMS:
        lines = [" ".join(words) if isinstance(words, list) else str(words) for words in knocks[system]["commands"].values()]
        parts.append(f"{system} ({knocks[system]['version']}):\n\n```\n" + "\n".join(lines) + "\n```")
    return "\n\n".join(parts)


def stages(measured):
    rows = table(("stage", "median ms"), [(name, f"{value:.2f}") for name, value in measured["stages"].items()])
    of = measured["start_up"]
    if not of:
        return rows
    return rows + (
        f"\n\nUntil its first packet the client executes {of['instructions'] / 1e6:.1f} million instructions, with {of['page_faults']} page faults and "
        f"{of['system_calls']} system calls. {of['cpuids']} of the instructions ask the processor what it is (CPUID), as glibc does when any program "
        f"starts; in a virtual machine the hypervisor answers, here in {of['us_a_cpuid']:.1f} µs each: {of['cpuids'] * of['us_a_cpuid'] / 1000:.2f} ms.")


def draw_latency(knocks):
    rows = [(s, knocks[s]["latency"]["median_ms"], knocks[s]["latency"]["p99_ms"]) for s in SYSTEMS]
    return plot.ranges("Client start to accepted connection", "ms", rows)


# --- floods -------------------------------------------------------------------------------------------------------


def _by_flood(floods):
    found = {}
    for each in floods["floods"]:
        found.setdefault(each["flood"], {})[each["contestant"]] = each
    return found


def floods(floods):
    rows = []
    for name, of in _by_flood(floods).items():
        ours = of["oneknock"]
        model = " / ".join(f"{100 * share:g} %" for share in ours["model"]) if ours.get("model") else ""
        cells = [f"{_percent(of[s]['opened'], of[s]['knocks'])} of {of[s]['knocks']}" if s in of else "" for s in SYSTEMS]
        unasked = sum(of[s]["uninvited"] + of[s]["opened_unasked"] for s in SYSTEMS[:1])
        rows.append((name, f"{ours['rate']:,}", *cells, unasked, _ms(ours["burst_ms"]), model, f"{100 * ours['cpu']:.0f} %"))
    return table(("flood", "packets/s", *SYSTEMS, "opened unasked (oneknock)", "burst, ms", "model: 1 / 5 / 20 ms", "CPU (oneknock)"), rows)


def soak(floods):
    rows = [(each["seconds"], f"{each['private_kib']:,}", f"{each.get('dropped', 0):,}", f"{each.get('packets', 0):,}") for each in floods["soak"]]
    return table(("seconds of flood", "private memory of all three processes, KiB", "dropped by the capture", "packets captured"), rows)


def draw_floods(floods):
    of = _by_flood(floods)
    series = {s: [of[name][s]["opened"] / of[name][s]["knocks"] if s in of[name] and of[name][s]["knocks"] else None for name in of]
              for s in SYSTEMS}
    return plot.shares("Knocks that opened during a flood", list(of), series)


# --- costs --------------------------------------------------------------------------------------------------------


def per_packet(costs):
    of = costs["per_packet"]
    names = {"empty_pcap_loop": "pcap_loop with an empty callback", "whole_listener/1": "the whole listener, 1 client",
             "whole_listener/100000": "the whole listener, 100,000 clients"}
    rows = [(label, f"{of['median_s'][name] * 1e9 / 2e6:.0f}", f"{of['least_s'][name] * 1e9 / 2e6:.0f}") for name, label in names.items()]
    return (table(("2,000,000 random SYNs from a file", "ns per packet, median", "least"), rows)
            + f"\n\nA packet costs the listener **{of['ratio']:.2f}** times as much as the empty loop (least: {of['least_ratio']:.2f}), and with "
              f"100,000 clients **{of['clients_ratio']:.2f}** times as much as with one (least: {of['least_clients_ratio']:.2f}). There are "
              f"{of['allocations_per_packet']:.6f} allocations per packet, all of them made when the file is opened.")


def per_knock(costs):
    daemon, parts = costs["in_the_daemon"], costs["per_knock"]
    floor = {"assembly": "", "verification": "", "record": f"{_us(parts['fdatasync_alone']['0'])} (one page and fdatasync; {_us(parts['fdatasync_alone']['1'])} where the file grows)",
             "netlink": f"{_us(parts['batch_alone']['0'])} (a batch of one element)", "total": ""}
    work = {"assembly": _us(parts["assembly"]["0"]), "verification": _us(parts["verification"]["1"]),
            "record": _us(parts["decision_and_record"]["0"]), "netlink": _us(parts["open_grant"]["0"]), "total": ""}
    rows = [(name, f"{1000 * each['median_ms']:.0f}", f"{1000 * each['most_ms']:.0f}", work[name], floor[name]) for name, each in daemon.items()]
    return table(("part", "in the daemon, median µs", "longest of 100", "its work alone, mean µs", "floor, mean µs"), rows)


def growth(costs):
    of = costs["per_knock"]
    what = (("verification", "clients"), ("decision_and_record", "recorded knocks"), ("open_grant", "live grants"))
    rows = [(part.replace("_", " "), f"{int(size):,} {unit}", _us(seconds)) for part, unit in what for size, seconds in of[part].items()]
    longest = of["hour_change_longest"]["100000"]
    return (table(("part", "with", "mean µs"), rows) + f"\n\nWith 100,000 clients, the change of the hour delays a knock "
            f"by at most {_ms(1000 * longest)} ms (the longest of its slices in 5 changes).")


def draw_growth(costs):
    of = costs["per_knock"]

    def line(part):
        return [(int(size), seconds * 1e6) for size, seconds in of[part].items()]

    per_packet = [(size, costs["per_packet"]["median_s"][f"whole_listener/{size}"] / 2) for size in (1, 100_000)]
    return plot.lines("Costs as everything grows", "clients, recorded knocks, live grants", "µs", {
        "packet (clients)": per_packet, "verification (clients)": line("verification"),
        "record (knocks)": line("decision_and_record"), "grant (grants)": line("open_grant")})


# --- many clients ---------------------------------------------------------------------------------------------------


def clients(clients):
    kinds = {"at_rest": "no reload", "nothing_changed": "none changed", "one_changed": "one changed", "all_touched": "all touched", "all_new": "all with new keys"}
    rows = [(label, f"{of['reload_s']:.2f}" if "reload_s" in of else "", of["knocks"], _ms(of["median_ms"]), _ms(of["most_ms"]))
            for kind, label in kinds.items() for of in (clients[kind],)]
    mib = {name: f"{clients[name] / 2 ** 20:.0f}" for name in ("private_bytes", "locked_bytes", "private_bytes_after")}
    return (f"The daemon loads {clients['clients']:,} clients in **{clients['load_s']:.1f} s**, from the start of the program until it is ready "
            f"({clients['load_processor_s']:.1f} s of processor time). The three processes together then take **{mib['private_bytes']} MiB** of "
            f"private memory, of which {mib['locked_bytes']} MiB are locked for secrets; after the reloads below they take "
            f"{mib['private_bytes_after']} MiB.\n\n"
            + table(("files", "a reload, s", "knocks", "from first packet to element, median ms", "at most, ms"), rows))


# --- many knocks ------------------------------------------------------------------------------------------------------


def monday(monday):
    def row(who, of):
        syncs = "" if of["syncs"] is None or who in SYSTEMS[1:] else f"{of['syncs']:.2f}"
        return (who, f"{of['sent_a_second']:,.0f}", f"{of['opened']:,} of {of['knocks']:,}", f"{of['opened_a_second']:,.0f}", _ms(of["median_ms"]),
                _ms(of["p99_ms"]), f"{of['processor_ms']:.2f}", syncs, "" if of["dropped"] is None else f"{of['dropped']:,}")

    rows = [row(system, of) for system in SYSTEMS for of in monday[system]]
    rows += [row("oneknock, 100,000 clients", of) for of in monday["many"]]
    return table(("", "knocks a second", "opened", "opened a second", "median ms", "99th percentile ms", "processor ms a knock", "fdatasyncs a knock",
                  "packets dropped"), rows)


# --- a busy server ----------------------------------------------------------------------------------------------------


def busy(busy):
    who = {True: "is not slowed by it", False: "competes with it"}
    rows = [(of["scheduling"], f"{of['load']}", who[of["client_ahead"]] if of["load"] else "", _ms(of["median_ms"]), _ms(of["p90_ms"]), _ms(of["most_ms"]))
            for of in busy["rows"]]
    return table(("scheduling", f"load on {busy['processors']} processors", "the client", "median ms", "90th percentile ms", "at most, ms"), rows)


# --- the document -------------------------------------------------------------------------------------------------

TABLES = {"machine": machine, "knocks": knocks, "stages": stages, "commands": commands, "floods": floods, "soak": soak,
          "per-packet": per_packet, "per-knock": per_knock, "growth": growth, "clients": clients, "monday": monday, "busy": busy}
SOURCES = {"machine": "machine", "knocks": "knocks", "stages": "stages", "commands": "knocks", "floods": "floods", "soak": "floods",
           "per-packet": "costs", "per-knock": "costs", "growth": "costs", "clients": "clients", "monday": "monday", "busy": "busy"}
PLOTS = {"latency": (draw_latency, "knocks"), "floods": (draw_floods, "floods"), "growth": (draw_growth, "costs")}


def write(results):
    """`results`: {"machine": ..., "knocks": ..., "floods": ..., "costs": ...}; what is not there stays as it was."""
    path = os.path.join(ROOT, "docs", "benchmarks.md")
    with open(path) as file:
        text = file.read()
    for name, make in TABLES.items():
        if results.get(SOURCES[name]):
            filled = f"<!-- begin {name} -->\n{make(results[SOURCES[name]])}\n<!-- end {name} -->"
            text, count = re.subn(f"<!-- begin {name} -->.*?<!-- end {name} -->", lambda _: filled, text, flags=re.DOTALL)
            assert count == 1, f"docs/benchmarks.md has no place for {name}"
    with open(path, "w") as file:
        file.write(text)
    for name, (draw, source) in PLOTS.items():
        if source in results:
            with open(os.path.join(ROOT, "docs", f"bench-{name}.svg"), "w") as file:
                file.write(draw(results[source]))

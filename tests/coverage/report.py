"""Adds up, for each folder, what gcovr says of each file. Fails where common or server has too few of its lines.

    report.py SUMMARY.json        of gcovr --json-summary
"""

import json
import os
import sys

WANTED = {"common": 90, "server": 90}  # percent of lines


def add(folders, folder, file):
    counted = folders.setdefault(folder, [0, 0])
    counted[0] += file["line_covered"]
    counted[1] += file["line_total"]


def percent(counted):
    return 100 * counted[0] / counted[1]


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        files = json.load(file)["files"]
    folders, tops = {}, {}
    for each in files:
        add(folders, os.path.dirname(each["filename"]), each)
        add(tops, each["filename"].split("/")[0], each)
    for title, group in (("folder", folders), ("in all", tops)):
        print(f"| {title} | lines | executed | |\n| --- | --- | --- | --- |")
        for name, counted in sorted(group.items()):
            print(f"| {name} | {counted[1]} | {counted[0]} | {percent(counted):.1f} % |")
        print()
    print("least of their lines executed:")
    for each in sorted(files, key=lambda one: one["line_percent"])[:25]:
        print(f"    {each['filename']:<48} {each['line_covered']:>4} of {each['line_total']:>4}")
    low = [name for name, wanted in WANTED.items() if percent(tops[name]) < wanted]
    if low:
        sys.exit("less than wanted: " + ", ".join(low))


if __name__ == "__main__":
    main()

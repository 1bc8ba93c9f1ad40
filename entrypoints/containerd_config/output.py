"""Findings for people and for machines."""

import json

import attrs

from .check import Report
from .releases import Pull
from .wanted import Wanted


def as_text(path: str, wanted: Wanted, report: Report) -> str:
    """Write a line for each finding and each note; one that says so if there is no finding.

    Args:
        path: of the file, as it was given.
        wanted: what it was judged for.
        report: what was found.
    """
    lines = []
    for finding in report.findings:
        advice = f": {finding.advice}" if finding.advice else ""
        lines.append(f"{finding.name}: {finding.problem}{advice}")
    if not report.findings:
        way = "itself" if report.pull is Pull.LOCAL else "through the transfer service"
        name = f"containerd {wanted.release.name}"
        lines.append(f"nothing keeps {name} from remote layers; its CRI pulls {way}")
    lines += [f"note: {note}" for note in report.notes]
    return "".join(f"{path}: {line}\n" for line in lines)


def as_json(path: str, wanted: Wanted, report: Report) -> str:
    """Write one object.

    Args:
        path: of the file, as it was given.
        wanted: what it was judged for.
        report: what was found.
    """
    found = {
        "file": path,
        "containerd": wanted.release.name,
        "pull": report.pull.value,
        "findings": [
            {**attrs.asdict(finding), "table": finding.table or None}
            for finding in report.findings
        ],
        "notes": list(report.notes),
    }
    return json.dumps(found, indent=2, ensure_ascii=False) + "\n"

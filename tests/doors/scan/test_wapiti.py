"""What wapiti's report comes to."""

from __future__ import annotations

from tests.doors.scan.wapiti import Part, _read

REPORT = {
    "vulnerabilities": {
        "SQL Injection": [],
        "CRLF Injection": [{"method": "GET", "path": "/bills", "parameter": "q", "info": "CRLF injection"}],
    },
    "anomalies": {"Internal Server Error": [{"method": "POST", "path": "/b", "parameter": "t", "info": "500"}]},
    "additionals": {"HTTP Methods": [{"method": "GET", "path": "/", "parameter": "", "info": "OPTIONS"}]},
    "infos": {"crawled_pages_nbr": 7},
}


def test_vulnerabilities_and_anomalies_are_complaints_and_what_it_says_besides_is_none():
    found = _read(Part("console", "https://localhost/"), REPORT, "[*] Launching module sql\n")

    assert found.requests == 7
    assert [one.partition(": ")[2] for one in found.complaints] == [
        "CRLF Injection: GET /bills q: CRLF injection",
        "Internal Server Error: POST /b t: 500",
    ]
    assert found.stopped == []


def test_what_there_was_no_time_for_is_said():
    said = "[*] Launching module timesql\nMax attack time was reached for module timesql, stopping.\n"
    assert _read(Part("console", "https://localhost/"), REPORT, said).stopped == ["timesql"]

"""A scrape of metrics, as Prometheus reads it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import requests
from prometheus_client.parser import text_string_to_metric_families

Labels = Mapping[str, str]


@dataclass(frozen=True)
class Scrape:
    samples: tuple[tuple[str, Labels, float], ...]

    def value(self, name: str, **labels: str) -> float | None:
        """The sum of the samples that have these labels; None when there is none."""
        found = [value for given, has, value in self.samples if given == name and labels.items() <= has.items()]
        return sum(found) if found else None

    def labels(self, name: str) -> list[Labels]:
        return [labels for given, labels, _ in self.samples if given == name]


def read(text: str) -> Scrape:
    families = text_string_to_metric_families(text)
    return Scrape(tuple((one.name, one.labels, one.value) for family in families for one in family.samples))


def scrape(port: int) -> Scrape:
    answer = requests.get(f"http://127.0.0.1:{port}/metrics", timeout=20)
    assert answer.status_code == 200, answer.text
    return read(answer.text)

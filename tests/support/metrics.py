"""Metrics as text, read back with prometheus-client's own parsers, which are strict."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text
from prometheus_client.samples import Sample

Labels = Mapping[str, str]


class Samples:
    """All samples of a text."""

    def __init__(self, text: str, *, openmetrics: bool = False) -> None:
        """
        Raises:
            ValueError: it is not well-formed.
        """
        self.families = list((parse_openmetrics if openmetrics else parse_text)(text))
        self.all = [sample for family in self.families for sample in family.samples]

    def of(self, name: str, **labels: str) -> dict[tuple[tuple[str, str], ...], float]:
        """Return the values of a name's samples with these labels, by their other labels."""
        return {
            tuple(sorted(pair for pair in sample.labels.items() if pair[0] not in labels)): sample.value
            for sample in self._found(name, labels)
        }

    def value(self, name: str, **labels: str) -> float:
        """Return the sum of the samples that have these labels.

        Raises:
            KeyError: there is none.
        """
        found = [sample.value for sample in self._found(name, labels)]
        if not found:
            raise KeyError((name, labels))
        return sum(found)

    def names(self) -> set[str]:
        """Return the names of all samples."""
        return {sample.name for sample in self.all}

    def _found(self, name: str, labels: Labels) -> Iterator[Sample]:
        for sample in self.all:
            if sample.name == name and labels.items() <= sample.labels.items():
                yield sample

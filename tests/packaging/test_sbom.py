"""The list of what comes with the package."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tools import sbom
from tools.wheels import make_wheel

# It is about no server.
pytestmark = [pytest.mark.slow, pytest.mark.pg("== 18")]


def test_it_names_what_the_package_needs(tmp_path: Path) -> None:
    """With versions, and what needs what; nothing of what made the list."""
    made = sbom.make(make_wheel(tmp_path), tmp_path / "sbom")
    found = json.loads(made.read_text())
    assert found["bomFormat"] == "CycloneDX"
    described = found["metadata"]["component"]
    assert described["name"] == "pg_background"
    names = {component["name"].lower() for component in found["components"]}
    assert {"psycopg", "psycopg-binary", "rich", "typer"} <= names
    assert not names & {"pip", "pg_background", "cyclonedx-bom", "pytest", "cython"}
    assert all(component["version"] and component["purl"] for component in found["components"])
    needs = {entry["ref"]: entry.get("dependsOn", []) for entry in found["dependencies"]}
    assert any(ref.startswith("psycopg==") for ref in needs[described["bom-ref"]])

"""The coverage gate counts branches, folder by folder, and lets nothing low through."""

from __future__ import annotations

import json

from tools.coverage_gate import main, share


def report(**branches: tuple[int, int]) -> dict:
    """A coverage report with one file a folder: (covered, all) branches."""
    return {
        f"src/penstock/{folder}/module.py": {
            "summary": {"covered_branches": covered, "num_branches": total}
        }
        for folder, (covered, total) in branches.items()
    }


def test_a_share_is_of_branches_in_that_folder_alone():
    files = report(store=(19, 20), pipeline=(0, 20), storefront=(0, 20))
    assert share(files, "store") == 95
    assert share(files, "ledger") is None


def test_one_low_folder_fails_and_is_named(tmp_path, capsys):
    path = tmp_path / "coverage.json"
    path.write_text(json.dumps({"files": report(store=(19, 20), pipeline=(18, 20))}))
    assert main(str(path), "95", "store", "ledger") == 0
    assert main(str(path), "95", "store", "pipeline") == 1
    assert "pipeline" in capsys.readouterr().err

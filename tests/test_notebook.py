"""The notebooks run from top to bottom on the bundled data, and show what their text says."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

nbclient = pytest.importorskip("nbclient", reason="nbclient is not installed")
nbformat = pytest.importorskip("nbformat", reason="nbformat is not installed")
ROOT = Path(__file__).resolve().parent.parent


@pytest.mark.parametrize("path", sorted((ROOT / "notebooks").glob("*.ipynb")), ids=lambda p: p.stem)
def test_a_notebook_runs_and_is_stored_without_outputs(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    book = nbformat.read(path, as_version=4)
    assert all(not cell.outputs and cell.execution_count is None for cell in book.cells if cell.cell_type == "code")
    monkeypatch.setenv("PYTHONPATH", f"{ROOT}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    nbclient.NotebookClient(book, timeout=300, resources={"metadata": {"path": str(tmp_path)}}).execute()
    shown = [out for cell in book.cells if cell.cell_type == "code" for out in cell.outputs]
    assert not [out for out in shown if out.output_type == "error"]
    pages = [out.data["text/html"] for out in shown if "data" in out and "text/html" in out.data]
    assert len(pages) >= 6
    assert any("ranking" in page for page in pages)
    assert not any("<script" in page for page in pages)
    words = " ".join(str(out.data.get("text/plain", "")) for out in shown if "data" in out)
    # the run after the clocks went back is 5 minutes late, and the one of the 22nd never came
    assert "300.0" in words and "missed" in words

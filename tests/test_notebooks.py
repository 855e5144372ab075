"""The notebooks run from the first cell to the last, and say what their texts say."""

from pathlib import Path
from typing import Any

import pytest

nbformat = pytest.importorskip("nbformat")
nbclient = pytest.importorskip("nbclient")
pytest.importorskip("ipykernel")

NOTEBOOKS = Path(__file__).parents[1] / "docs" / "notebooks"
CHECKS = {
    "few_labels": """
assert accuracy["semi-supervised GAN"] > accuracy["logistic regression of the 50 labels"], accuracy
assert min(accuracy.values()) > 0.75, accuracy
""",
    "evaluating_samples": """
assert accuracy > 0.9
good, score = scores["held-out images"], scores
assert score["noise"]["IS"] < good["IS"] and score["blur"]["IS"] < good["IS"]
assert score["missing classes"]["IS"] < 0.7 * good["IS"]
assert score["one image per class"]["IS"] > 0.9 * good["IS"]
assert score["one image per class"]["FD"] > 2 * good["FD"] and score["one image per class"]["KID"] > 2 * good["KID"]
assert all(score["copies of real images"][metric] < good[metric] for metric in ("FD", "KID"))
assert all(score[damage]["FD"] > good["FD"] for damage in ("noise", "blur", "missing classes"))
""",
}


def read(name: str) -> Any:
    return nbformat.read(NOTEBOOKS / f"{name}.ipynb", as_version=4)


def test_each_notebook_is_checked() -> None:
    assert {path.stem for path in NOTEBOOKS.glob("*.ipynb")} == set(CHECKS)


@pytest.mark.parametrize("name", CHECKS)
def test_it_is_stored_without_outputs_and_installs_the_package_first(name: str) -> None:
    notebook = read(name)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert "%pip install" in code[0].source
    assert [cell for cell in code if "install" in cell.metadata.get("tags", [])] == code[:1]
    assert not any(cell.outputs or cell.execution_count for cell in code)


@pytest.mark.usefixtures("quick_trainings")  # the kernel is a process of its own
@pytest.mark.filterwarnings("default")  # of the kernel's own packages
@pytest.mark.parametrize("name", CHECKS)
def test_it_runs(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("JUPYTER_PLATFORM_DIRS", "1")
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    notebook = read(name)
    notebook.cells = [cell for cell in notebook.cells if "install" not in cell.metadata.get("tags", [])]
    notebook.cells.append(nbformat.v4.new_code_cell(CHECKS[name]))
    nbclient.NotebookClient(notebook, timeout=240, resources={"metadata": {"path": str(tmp_path)}}).execute()

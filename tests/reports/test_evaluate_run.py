import hashlib
import json
import shutil
from pathlib import Path

import pytest
import torch

from improved_gan.data import DataError, Dataset, LabeledImages, load_digits
from improved_gan.recipes.folder import folder_recipe
from improved_gan.reports import evaluate_run
from improved_gan.reports.evaluate_run import find_data, gather
from improved_gan.runs import Networks, Run
from improved_gan.runs.build import Experiment
from tests.data.test_folder import load, make
from tests.data.test_folder_snapshot import record

_WITH_MNIST = """
_before = recipe


def recipe(labels=None):
    from improved_gan.data import load_mnist
    return replace(_before(labels), load_data=load_mnist)
"""


@pytest.fixture
def run(small_runs: dict[str, Path], tmp_path: Path) -> Path:
    return Path(shutil.copytree(small_runs["first"], tmp_path / "run"))


def look(record: Run, data: Path | None = None) -> evaluate_run.Evidence:
    return gather(record, data_folder=data, device="cpu", say=lambda _: None, warn=pytest.fail, trust=True)


def test_the_classifier_is_the_one_whose_error_the_log_tells(run: Path) -> None:
    record = Run(run)
    found = look(record)
    wrong = int((found.classified.probabilities.argmax(1) != found.classified.images.labels).sum())
    assert wrong == record.log.last["test/num_errors"]
    torch.testing.assert_close(found.classified.probabilities.sum(1), torch.ones(500, dtype=torch.float64))
    assert found.samples.shape == (200, 1, 8, 8)
    assert found.step == record.log.last["step"]
    assert found.missing == {}


def test_a_classifier_that_gives_nan_is_told_and_has_no_numbers(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = evaluate_run.logits_of

    def broken(*args: object, **options: object) -> tuple[torch.Tensor, torch.Tensor]:
        features, logits = plain(*args, **options)  # type: ignore[arg-type]
        logits[4] = torch.nan
        return features, logits

    monkeypatch.setattr(evaluate_run, "logits_of", broken)
    found = look(Run(run))
    assert found.classified is None
    assert found.missing == {"classifier": "it gives NaN for 1 of 500 images"}


def test_a_run_without_labels_has_neighbors_and_no_classifier(small_runs: dict[str, Path]) -> None:
    found = look(Run(small_runs["pictures"]))
    assert found.classified is None
    assert found.copy_check is not None
    assert found.missing == {"classifier": "the run was trained without labels"}


def test_no_checkpoint_yet(run: Path) -> None:
    shutil.rmtree(run / "checkpoints")
    found = look(Run(run))
    assert found.step is None
    assert "has no checkpoint yet" in found.missing["classifier"]


def test_missing_data_gives_a_reason_and_samples_are_drawn_anyway(run: Path, tmp_path: Path) -> None:
    found = look(Run(run), tmp_path)  # the digits take no folder
    assert found.samples is not None
    assert found.data is None
    assert "the data was not found" in found.missing["neighbors"]


def test_nothing_is_downloaded(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = (run / "recipe.py").read_bytes() + _WITH_MNIST.encode()
    (run / "recipe.py").write_bytes(code)
    changed = Run(run)
    changed._stored["code_sha256"] = hashlib.sha256(code).hexdigest()
    monkeypatch.delenv("IMPROVED_GAN_DATA", raising=False)
    monkeypatch.setenv("IMPROVED_GAN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("urllib.request.urlopen", lambda *_, **__: pytest.fail("it reached for the network"))
    with pytest.raises(DataError, match="downloads nothing: give the folder that holds the four MNIST files: --data"):
        find_data(changed, None, trust=True)


def test_other_data_than_the_runs_is_refused(run: Path) -> None:
    file = run / "recipe.json"
    stored = json.loads(file.read_text())
    for change in ({"num_images": 7}, {"labels": stored["settings"]["label_split"]["labels"][::-1]}):
        settings = {**stored["settings"], "label_split": {**stored["settings"]["label_split"], **change}}
        changed = Run(run)
        changed.settings = settings
        with pytest.raises(DataError, match=r"not what .* was trained on"):
            find_data(changed, None, trust=True)


def test_test_images_without_labels_are_left_out_and_many_are_thinned(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    digits = load_digits()
    labels = digits.test.labels.clone()
    labels[:100] = -1
    partly = Dataset("digits", digits.class_names, digits.train, LabeledImages(digits.test.images, labels))
    monkeypatch.setattr(evaluate_run, "find_data", lambda *_, **__: partly)
    monkeypatch.setattr(evaluate_run, "_MOST_CLASSIFIED", 50)
    found = look(Run(run))
    assert found.classified.num_test == 400
    assert len(found.classified.images) == 50
    assert (found.classified.images.labels >= 0).all()
    labels[:] = -1
    assert look(Run(run)).missing == {"classifier": "the data has no test images with labels"}


def test_a_run_on_a_users_folder_is_judged_on_its_validation_images(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = load(make(tmp_path / "images", cat=10, dog=10), tmp_path)
    recipe = folder_recipe(own.dataset, num_labels=None)
    experiment = Experiment.prepare(recipe, seed=1, split_seed=1, data_folder=None, device="cpu")
    settings = json.loads(json.dumps(experiment.settings()))
    run = Run(record(own, tmp_path / "run"))
    run.settings = settings
    run._stored = {}
    networks = Networks(run, recipe.generator().eval(), recipe.discriminator().eval(), 1)
    monkeypatch.setattr(Run, "load", lambda *_, **__: networks)
    monkeypatch.setattr(evaluate_run, "_MOST_COMPARED", 4)
    found = look(run)
    assert found.missing == {}
    assert found.classified.images.labels.tolist() == own.dataset.test.labels.tolist() == [0, 0, 1, 1]
    assert len(found.data.train) == 16
    assert (found.copy_check.unseen.distances > 0).all()  # validation images are not taken for training images
    assert look(run, tmp_path / "elsewhere").missing["classifier"].endswith("name the folder with --data")

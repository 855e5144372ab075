"""Several members."""

import numpy as np
import pytest
from sklearn.datasets import make_blobs

from improved_gan import SemiSupervisedGANClassifier
from improved_gan.estimator import ensemble
from improved_gan.estimator.inputs import InputSpec
from improved_gan.estimator.labels import read_labels
from improved_gan.estimator.settings import Settings


def test_an_ensemble_averages_probabilities_and_joins_features(few) -> None:
    model = SemiSupervisedGANClassifier(epochs=3, n_estimators=2, random_state=0, device="cpu").fit(few.images, few.y)
    images = few.images[:20]
    ready = model._format.ready(images)
    judged = [member.predict(ready) for member in model.members_]
    expected = np.mean([np.exp(one.log_probabilities) for one in judged], axis=0)
    np.testing.assert_allclose(model.predict_proba(images), expected)
    np.testing.assert_allclose(model.real_score(images), (judged[0].real_score + judged[1].real_score) / 2)
    assert model.transform(images).shape == (20, 256)
    assert not np.allclose(judged[0].features, judged[1].features)
    assert model.sample(5).shape == (5, 8, 8)


@pytest.mark.slow
def test_members_in_processes_are_those_of_one_process(few) -> None:
    make = SemiSupervisedGANClassifier(epochs=1, n_estimators=2, random_state=0, device="cpu")
    one = make.fit(few.images, few.y).predict_proba(few.images[:5])
    two = make.set_params(n_jobs=2).fit(few.images, few.y).predict_proba(few.images[:5])
    np.testing.assert_allclose(one, two, atol=1e-5)


def test_a_warm_start_goes_on(few) -> None:
    model = SemiSupervisedGANClassifier(epochs=3, warm_start=True, random_state=0, device="cpu")
    first = model.fit(few.images, few.y).history_[0][0]["discriminator/supervised"]
    assert model.fit(few.images, few.y).history_[0][0]["discriminator/supervised"] < first
    with pytest.raises(ValueError, match=r"classes \[0, 1, 2\] and 1 models; got \[0, 1\]"):
        model.fit(few.images, np.where(few.y == 2, -1, few.y))
    with pytest.raises(ValueError, match="fitted on"):
        model.fit(few.images[:, :4], few.y)
    broken = few.images.copy()
    broken[7, 2, 2] = np.nan
    with pytest.raises(ValueError, match=r"NaN or infinity in 1 of 300 rows \(the first is row 7\)"):
        model.fit(broken, few.y)
    with pytest.raises(ValueError, match=r"NaN or infinity in 1 of 600 rows"):
        model.fit(few.images, few.y, unlabeled=broken)


@pytest.mark.parametrize(
    ("before", "change"),
    [
        ({}, {"network": "convolutional"}),
        ({}, {"value_range": (0, 255)}),
        ({"value_range": (0, 20)}, {"value_range": (0, 16)}),
        ({}, {"scaling": "columns"}),
        ({"layout": "NCHW"}, {"layout": "NHWC"}),
    ],
)
def test_a_warm_start_refuses_what_it_would_ignore(before: dict, change: dict) -> None:
    images, y = np.random.default_rng(0).integers(0, 17, size=(24, 4, 12, 4)).astype(float), np.arange(24) % 2
    images = images if before.get("layout") else images.transpose(0, 2, 1, 3).reshape(24, 12, 16)
    settings = {"epochs": 1, "warm_start": True, "random_state": 0, "device": "cpu", "network": "dense"}
    model = SemiSupervisedGANClassifier(**settings | before).fit(images, y)
    kept = {"network": "auto", "layout": "auto", "scaling": "range", "value_range": before.get("value_range")}
    model.set_params(**kept).set_params(**before).fit(images, y)  # says the same
    (name,) = change
    with pytest.raises(ValueError, match=rf"continues with dense networks.*got {name}=.*warm_start=False"):
        model.set_params(**change).fit(images, y)


def test_a_warm_start_needs_what_a_cold_fit_drops(few, fitted) -> None:
    import pickle

    model = pickle.loads(pickle.dumps(fitted)).set_params(warm_start=True)
    with pytest.raises(ValueError, match="set it before both"):
        model.fit(few.images, few.y)


def test_a_warm_start_never_validates_on_labels_it_has_trained_on(few, tmp_path, monkeypatch) -> None:
    seen = []
    fit_members = ensemble.fit_members

    def watch(task, *args, **options):
        seen.append((set(task.known.rows[task.training]), set(task.known.rows[task.validation])))
        return fit_members(task, *args, **options)

    monkeypatch.setattr("improved_gan.estimator.classifier.fit_members", watch)
    model = SemiSupervisedGANClassifier(epochs=1, warm_start=True, validation_fraction=0.3, device="cpu")
    y = np.where(np.arange(300) < 40, few.truth, -1)
    for seed in range(3):
        model.set_params(random_state=seed).fit(few.images, y)
    model.save(tmp_path / "model")
    again = SemiSupervisedGANClassifier.load(tmp_path / "model").set_params(random_state=9)
    again.fit(few.images.astype(np.float32), np.where(np.arange(300) < 60, few.truth, -1))  # and more labels
    trained = set()
    for training, validation in seen:
        assert validation
        assert not validation & trained
        trained |= training
    assert len(seen[-1][1]) > len(seen[0][1])


def test_labels_spread_within_clusters_and_not_from_held_out_examples() -> None:
    points, truth = make_blobs(300, centers=3, n_features=16, cluster_std=2.0, random_state=0)
    known = read_labels(np.where(np.arange(300) < 30, truth, -1), classes=None)
    spec = InputSpec.learn([points], layout="auto", scaling="auto", value_range=None)
    model = SemiSupervisedGANClassifier(
        epochs=20, batch_size=50, label_spreading=True, validation_fraction=0.3, device="cpu"
    )
    task = ensemble.FitPlan.plan([points], known, spec, Settings.check(model), seed=0)
    pseudo_labels = task.spread_labels()
    assert not set(pseudo_labels.indices.tolist()) & set(known.rows[task.validation].tolist())
    assert (pseudo_labels.classes.numpy() == truth[pseudo_labels.indices]).all()
    assert len(pseudo_labels.indices) == pytest.approx(0.7 * (300 - len(task.validation)), abs=3)
    assert (pseudo_labels.batch_size, pseudo_labels.num_epochs) == (30, 9)  # 60% of a batch, 45% of the epochs


def test_pseudo_labels_are_trained_on_in_the_first_epochs(few) -> None:
    model = SemiSupervisedGANClassifier(epochs=4, label_spreading=True, random_state=0, device="cpu")
    history = model.fit(few.images, few.y).history_[0]
    assert ["discriminator/pseudo_label" in line for line in history] == [True, True, False, False]


def test_the_precision_is_that_of_the_recipe_unless_it_is_given(few, monkeypatch) -> None:
    monkeypatch.setattr("improved_gan.recipes.precision.fastest_precision", lambda device: "bfloat16")

    def precision(size: int, **settings: object) -> str:
        model = SemiSupervisedGANClassifier(device="cpu", **settings)
        images = np.tile(few.images, (1, size // 8, size // 8))
        spec = InputSpec.learn([images], layout="auto", scaling="auto", value_range=None)
        known = read_labels(few.y, classes=None)
        return ensemble.FitPlan.plan([images], known, spec, Settings.check(model), seed=0).recipe(3).precision

    assert [precision(8), precision(24), precision(24, precision="float32")] == ["float32", "bfloat16", "float32"]

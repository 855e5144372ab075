"""Training members, one by one and together."""

import copy
import pickle
import threading
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import joblib
import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.model_selection import cross_val_score

from improved_gan import SemiSupervisedGANClassifier
from improved_gan.estimator import ensemble, fitting
from improved_gan.training.errors import DivergedError


def test_the_global_random_state_stays_and_the_seed_decides(few) -> None:
    torch.manual_seed(5)
    before = torch.get_rng_state()
    make = SemiSupervisedGANClassifier(epochs=2, device="cpu")
    one, same, other = (
        make.set_params(random_state=seed).fit(few.images, few.y).predict_proba(few.images[:9]) for seed in (1, 1, 2)
    )
    assert torch.equal(torch.get_rng_state(), before)
    np.testing.assert_array_equal(one, same)
    assert not np.allclose(one, other)


def test_labels_alone_train_no_generator(few, tmp_path) -> None:
    model = SemiSupervisedGANClassifier(epochs=2, unsupervised_weight=0, random_state=0).fit(few.images, few.y)
    assert "discriminator/unsupervised" not in model.history_[0][-1]
    assert model.predict(few.images).shape == (300,)
    assert {name.partition(".")[0] for name in model.members_[0].tensors} == {"classifier"}
    with pytest.raises(ValueError, match="unsupervised_weight=0 trains no GAN, so there is no generator"):
        model.sample(2)
    model.save(tmp_path / "model")
    again = SemiSupervisedGANClassifier.load(tmp_path / "model")
    np.testing.assert_array_equal(again.predict_proba(few.images), model.predict_proba(few.images))


def test_a_warm_start_adds_no_generator(few) -> None:
    settings = {"epochs": 1, "warm_start": True, "random_state": 0}
    for before, after in ((0, 0.5), (0.5, 0)):
        model = SemiSupervisedGANClassifier(unsupervised_weight=before, **settings).fit(few.images, few.y)
        with pytest.raises(ValueError, match="unsupervised_weight must stay 0, or stay above 0"):
            model.set_params(unsupervised_weight=after).fit(few.images, few.y)
    model.set_params(unsupervised_weight=0.25).fit(few.images, few.y)


@pytest.fixture
def together(monkeypatch) -> None:
    """As on a GPU."""
    monkeypatch.setattr(ensemble, "_train_vmapped", lambda task, n_jobs: True)


def test_members_that_are_trained_together_learn_as_well(few, monkeypatch) -> None:
    y = np.where(np.arange(300) < 30, few.truth, -1)
    models = []
    for together in (False, True):
        monkeypatch.setattr(ensemble, "_train_vmapped", lambda task, n_jobs, answer=together: answer)
        make = SemiSupervisedGANClassifier(epochs=10, n_estimators=2, random_state=0, device="cpu")
        models.append(make.fit(few.images, y))
    apart, joined = (
        [member.predict(model._format.ready(few.images)).log_probabilities.argmax(1)[30:] for member in model.members_]
        for model in models
    )
    errors = [[np.mean(one != few.truth[30:]) for one in members] for members in (apart, joined)]
    assert np.mean(errors[1]) == pytest.approx(np.mean(errors[0]), abs=0.1)
    assert max(errors[1]) < 0.35
    assert not np.array_equal(*joined)
    first, second = ([line["discriminator/supervised"] for line in one] for one in models[1].history_)
    assert len(first) == len(second) == len(models[0].history_[0])
    assert first != second


def test_together_each_member_stops_when_it_gets_no_better(few, together) -> None:
    y = np.where(np.arange(100) < 60, few.truth[:100], -1)
    settings = {"epochs": 90, "validation_fraction": 0.5, "n_iter_no_change": 2, "random_state": 0, "device": "cpu"}
    model = SemiSupervisedGANClassifier(n_estimators=3, **settings).fit(few.images[:100], y)
    for history in model.history_:
        best = min(range(len(history)), key=lambda i: (history[i]["validation/error"], history[i]["validation/loss"]))
        assert len(history) - 1 - best == 2


def test_together_a_warm_start_goes_on_and_a_divergence_is_told(few, together) -> None:
    model = SemiSupervisedGANClassifier(epochs=3, n_estimators=2, warm_start=True, random_state=0, device="cpu")
    first = [history[0]["discriminator/supervised"] for history in model.fit(few.images, few.y).history_]
    kept = [member.state["discriminator.output.bias"].clone() for member in model.members_]
    before = model.members_
    second = [history[0]["discriminator/supervised"] for history in model.fit(few.images, few.y).history_]
    assert all(after < early for early, after in zip(first, second, strict=True))
    for member, tensor in zip(before, kept, strict=True):
        assert torch.equal(member.state["discriminator.output.bias"], tensor)
    with pytest.raises(DivergedError, match="not finite after epoch"):
        SemiSupervisedGANClassifier(epochs=3, n_estimators=2, learning_rate=1e30, random_state=0).fit(few.images, few.y)


@pytest.mark.parametrize(
    ("device", "network", "n_jobs", "expected"),
    [
        ("cuda", "dense", None, True),
        ("cuda:1", "dense", 1, True),
        ("cuda", "dense", 2, False),
        ("cuda", "convolutional", None, False),
        ("cpu", "dense", None, False),
    ],
)
def test_small_members_on_a_gpu_are_trained_together(device: str, network: str, n_jobs: int | None, expected) -> None:
    task = SimpleNamespace(settings=SimpleNamespace(device=device), choice=SimpleNamespace(network=network))
    assert ensemble._train_vmapped(task, n_jobs) is expected


def test_members_that_stopped_at_different_steps_go_on_one_by_one(few, together, capsys) -> None:
    images, y = few.images[:100], np.where(np.arange(100) < 60, few.truth[:100], -1)
    settings = {"epochs": 60, "validation_fraction": 0.5, "n_iter_no_change": 1, "random_state": 0, "device": "cpu"}
    model = SemiSupervisedGANClassifier(n_estimators=3, warm_start=True, **settings).fit(images, y)
    steps = {float(member.state["optimizer.discriminator.0.step"]) for member in model.members_}
    assert len(steps) > 1
    model.set_params(verbose=2, epochs=4).fit(images, y)
    assert "model 2" not in capsys.readouterr().out


def test_convolutions_have_their_channels_innermost(monkeypatch) -> None:
    seen = []
    take_steps = fitting.take_steps

    def spy(state, *rest):
        seen.append({name: one for name, one in state.discriminator.named_parameters() if one.dim() == 4})
        return take_steps(state, *rest)

    monkeypatch.setattr(fitting, "take_steps", spy)
    images = np.random.default_rng(0).random((40, 3, 16, 16), dtype=np.float32)
    SemiSupervisedGANClassifier(epochs=1, random_state=0, device="cpu").fit(images, np.arange(40) % 2)
    wide = [one for one in seen[0].values() if min(one.shape) > 1]
    assert wide
    assert all(one.is_contiguous(memory_format=torch.channels_last) for one in wide)
    assert not any(one.is_contiguous() for one in wide)


THREADED = {
    "dense": {"epochs": 2},
    "bfloat16": {"epochs": 2, "precision": "bfloat16"},
    "labels alone": {"epochs": 2, "unsupervised_weight": 0},
    "ensemble": {"epochs": 2, "n_estimators": 2},
    "kept": {"epochs": 2, "validation_fraction": 0.3, "warm_start": True, "label_spreading": True},
}


@pytest.mark.parametrize("settings", THREADED.values(), ids=THREADED)
def test_a_fit_beside_others_gives_what_it_gives_alone(few, settings) -> None:
    """Other threads fit, predict, copy, and draw from the global random state meanwhile; nobody disturbs anybody."""
    images, y = few.images[:120], few.y[:120]

    def fit(seed: int) -> np.ndarray:
        model = SemiSupervisedGANClassifier(random_state=seed, device="cpu", **settings).fit(images, y)
        if settings.get("warm_start"):
            model.fit(images, y)
        copies = (model, pickle.loads(pickle.dumps(model)), copy.deepcopy(model))
        sampled = settings.get("unsupervised_weight") != 0
        values = [np.append(one.predict_proba(images), one.sample(3) if sampled else []) for one in copies]
        np.testing.assert_array_equal(values[1:], [values[0]] * 2)
        return values[0]

    alone, drawing = [fit(0), fit(1)], threading.Event()

    def draw() -> list[torch.Tensor]:
        drawn = []
        while not drawing.is_set():
            drawn.append(torch.rand(3))
            drawing.wait(0.001)
        return drawn

    with ThreadPoolExecutor(3) as pool, torch.random.fork_rng():
        torch.manual_seed(11)
        drawn = pool.submit(draw)
        fits = list(pool.map(fit, (0, 1)))
        drawing.set()
        np.testing.assert_array_equal(fits, alone)
        stream = torch.rand(3 * len(drawn.result()), generator=torch.Generator().manual_seed(11))
    assert torch.equal(torch.cat(drawn.result()), stream)


@pytest.mark.parametrize("backend", ["threading", pytest.param("loky", marks=pytest.mark.slow)])
def test_cross_validation_of_ensembles_in_parallel_gives_what_it_gives_serially(few, backend) -> None:
    images, y = few.images[:60], np.where(np.arange(60) < 40, few.truth[:60], -1)
    model = SemiSupervisedGANClassifier(epochs=2, n_estimators=2, n_jobs=2, random_state=0, device="cpu")
    alone = cross_val_score(clone(model).set_params(n_jobs=None), images, y, cv=2, error_score="raise")
    with joblib.parallel_config(backend):
        beside = cross_val_score(model, images, y, cv=2, n_jobs=2, error_score="raise")
    np.testing.assert_array_equal(beside, alone)


def test_rebuilding_a_model_leaves_the_global_random_state(few, tmp_path) -> None:
    model = SemiSupervisedGANClassifier(epochs=1, random_state=0, device="cpu").fit(few.images[:60], few.y[:60])
    model.save(tmp_path / "kept")
    before = torch.get_rng_state()
    for again in (pickle.loads(pickle.dumps(model)), model.load(tmp_path / "kept"), copy.deepcopy(model)):
        again.predict(few.images[:2])
        again.sample(2)
    assert torch.equal(torch.get_rng_state(), before)

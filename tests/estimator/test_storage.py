"""Saving without pickle."""

import json
import pickle

import numpy as np
import pytest
import torch
from sklearn.datasets import make_blobs

from improved_gan import SemiSupervisedGANClassifier
from improved_gan.estimator.architecture import select_architecture
from improved_gan.estimator.layout import find_layout
from improved_gan.estimator.storage import EnsembleMember


def member_of(fitted) -> EnsembleMember:
    return fitted.members_[0]


def test_what_it_says_follows_from_its_logits(fitted) -> None:
    member = member_of(fitted)
    images = torch.rand(5, 1, 8, 8)
    judged = member.predict(images)
    logits = member._classifier(images.double()).logits.numpy()
    np.testing.assert_allclose(judged.real_score, np.log(np.exp(logits).sum(1)))
    np.testing.assert_allclose(np.exp(judged.log_probabilities), np.exp(logits) / np.exp(logits).sum(1, keepdims=True))
    assert judged.features.shape == (5, 128)


def test_a_convolutional_member_takes_few_images_at_a_time() -> None:
    choice = select_architecture(find_layout((200, 32, 32, 3)), 3)
    networks = {"generator": choice.build_generator(), "classifier": choice.build_discriminator()}
    member = EnsembleMember(
        choice, {f"{key}.{name}": value for key, one in networks.items() for name, value in one.state_dict().items()}
    )
    seen: list[int] = []
    for network in (member._classifier, member._generator):
        network.register_forward_pre_hook(lambda _, inputs: seen.append(len(inputs[0])))
    images = torch.rand(100, 3, 32, 32)
    judged = member.predict(images)
    assert seen == [85, 15]
    with torch.no_grad():
        output = networks["classifier"].eval()(images)
        drawn = networks["generator"].eval().draw_latents(120, source=torch.Generator().manual_seed(7))
        np.testing.assert_allclose(judged.log_probabilities, output.logits.log_softmax(1), atol=1e-5)
        np.testing.assert_allclose(judged.features, output.features, atol=1e-5)
        torch.testing.assert_close(member.sample(120, seed=7), networks["generator"](drawn))
    assert seen[2:] == [16, 85, 19]


def test_it_pickles(fitted) -> None:
    member = member_of(fitted)
    again = pickle.loads(pickle.dumps(member))
    images = torch.rand(5, 1, 8, 8)
    np.testing.assert_array_equal(again.predict(images).features, member.predict(images).features)
    torch.testing.assert_close(again.sample(3, seed=1), member.sample(3, seed=1), rtol=0, atol=0)


def test_weights_of_other_networks(fitted) -> None:
    with pytest.raises(ValueError, match="not those of a dense pair"):
        EnsembleMember(select_architecture(find_layout((9, 5)), 3), member_of(fitted).tensors)


def test_a_saved_classifier_says_the_same(fitted, few, tmp_path) -> None:
    fitted.save(tmp_path / "model")
    again = SemiSupervisedGANClassifier.load(tmp_path / "model")
    np.testing.assert_array_equal(again.predict_proba(few.images), fitted.predict_proba(few.images))
    np.testing.assert_array_equal(again.sample(4), fitted.sample(4))
    assert again.get_params() == fitted.get_params()
    assert again.history_ == fitted.history_
    assert again.classes_.dtype == fitted.classes_.dtype
    assert sorted(path.name for path in (tmp_path / "model").iterdir()) == ["config.json", "model.safetensors"]
    fitted.save(tmp_path / "model")  # over itself


def test_tables_with_names_and_text_classes_and_a_warm_start(tmp_path) -> None:
    pandas = pytest.importorskip("pandas")
    X, truth = make_blobs(60, centers=2, random_state=0)
    frame = pandas.DataFrame(X, columns=["height", "width"])
    y = np.array(["cat", "dog"], dtype=object)[truth]
    y[10:] = -1
    model = SemiSupervisedGANClassifier(epochs=2, warm_start=True, random_state=0, device="cpu").fit(frame, y)
    model.save(tmp_path / "model")
    again = SemiSupervisedGANClassifier.load(tmp_path / "model")
    assert again.predict(frame).tolist() == model.predict(frame).tolist()
    assert again.feature_names_in_.tolist() == ["height", "width"]
    np.testing.assert_allclose(again.fit(frame, y).predict_proba(frame), model.fit(frame, y).predict_proba(frame))


def test_damaged_and_foreign_folders(fitted, tmp_path) -> None:
    with pytest.raises(ValueError, match=r"config.json cannot be read"):
        SemiSupervisedGANClassifier.load(tmp_path)
    (tmp_path / "notes.txt").touch()
    with pytest.raises(ValueError, match="contains other files"):
        fitted.save(tmp_path)
    folder = tmp_path / "model"
    fitted.save(folder)
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(ValueError, match=r"model.safetensors cannot be read"):
        SemiSupervisedGANClassifier.load(folder)
    (folder / "config.json").write_text(json.dumps({"kind": "other"}))
    with pytest.raises(ValueError, match="describes no SemiSupervisedGANClassifier"):
        SemiSupervisedGANClassifier.load(folder)


def test_a_random_state_that_is_no_json(fitted, tmp_path) -> None:
    import pickle

    model = pickle.loads(pickle.dumps(fitted)).set_params(random_state=np.random.RandomState(0))
    with pytest.raises(ValueError, match="cannot be saved as JSON"):
        model.save(tmp_path / "model")
    assert not (tmp_path / "model").exists()


def test_the_folder_of_another_library_is_left_alone(fitted, tmp_path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    (tmp_path / "model.safetensors").write_bytes(b"theirs")
    with pytest.raises(ValueError, match="contains other files: give a new folder"):
        fitted.save(tmp_path)
    assert (tmp_path / "config.json").read_text() == '{"model_type": "bert"}'
    assert (tmp_path / "model.safetensors").read_bytes() == b"theirs"


def test_a_save_that_was_stopped_between_its_files_is_noticed_and_can_be_repeated(fitted, few, tmp_path) -> None:
    folder = tmp_path / "model"
    SemiSupervisedGANClassifier(epochs=1, random_state=1, device="cpu").fit(few.images, few.y).save(folder)
    before = (folder / "model.safetensors").read_bytes()
    fitted.save(folder)
    (folder / "model.safetensors").write_bytes(before)
    with pytest.raises(ValueError, match="not saved together"):
        SemiSupervisedGANClassifier.load(folder)
    (folder / "model.safetensors").unlink()  # stopped in the first save
    fitted.save(folder)
    assert SemiSupervisedGANClassifier.load(folder).predict(few.images[:2]).shape == (2,)

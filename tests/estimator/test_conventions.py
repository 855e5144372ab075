"""The parts of scikit-learn's contract that its checks leave out."""

import copy

import numpy as np
import pytest
import torch

from improved_gan import SemiSupervisedGANClassifier


def test_features_have_names(fitted, few) -> None:
    names = fitted.get_feature_names_out()
    assert len(names) == fitted.transform(few.images[:2]).shape[1]
    assert names[:2].tolist() == ["semisupervisedganclassifier0", "semisupervisedganclassifier1"]
    assert not hasattr(SemiSupervisedGANClassifier(), "_n_features_out")


def test_features_come_as_a_frame(fitted, few) -> None:
    pandas = pytest.importorskip("pandas")
    frame = copy.copy(fitted).set_output(transform="pandas").transform(few.images[:3])
    assert isinstance(frame, pandas.DataFrame)
    assert frame.columns.tolist() == fitted.get_feature_names_out().tolist()
    np.testing.assert_array_equal(frame.to_numpy(), fitted.transform(few.images[:3]))


def test_the_score_leaves_out_what_has_no_label(fitted, few) -> None:
    known = few.y >= 0
    expected = (fitted.predict(few.images[known]) == few.y[known]).mean()
    assert fitted.score(few.images, few.y) == expected > 0.5
    assert fitted.score(torch.from_numpy(few.images), list(few.y)) == expected
    weights = np.where(np.arange(300) % 2, 1.0, 3.0)
    right = fitted.predict(few.images[known]) == few.y[known]
    assert fitted.score(few.images, few.y, weights) == pytest.approx(np.average(right, weights=weights[known]))
    assert fitted.score(few.images, few.truth) == (fitted.predict(few.images) == few.truth).mean()
    with pytest.raises(ValueError, match="nothing to score: give labeled examples"):
        fitted.score(few.images[:2], [-1, -1])

"""scikit-learn's own checks of its contract."""

from sklearn.utils.estimator_checks import parametrize_with_checks

from improved_gan import SemiSupervisedGANClassifier


@parametrize_with_checks(
    [SemiSupervisedGANClassifier(epochs=6, device="cpu")],
    expected_failed_checks=lambda _: {
        "check_classifiers_classes": "uses -1 as a class, which means `unlabeled` here; scikit-learn exempts its own "
        "semi-supervised classifiers from this part by their names",
        "check_sample_weight_equivalence_on_dense_data": "minibatches are drawn by row, so weight 2 is not the same "
        "draw as two rows, as in scikit-learn's own learners from minibatches",
    },
)
def test_scikit_learn_check(estimator, check) -> None:
    check(estimator)

import pytest
import torch

from improved_gan.kernels.logits import class_logits, one_logit_an_example


@pytest.mark.parametrize(
    ("shape", "remedy"),
    [
        ((4, 1), r"got \(4, 1\)\. Give l\.flatten\(\)"),
        ((4, 1, 1, 1), r"got \(4, 1, 1, 1\)\. Give l\.flatten\(\)"),
        ((4, 10), r"real_logit\(l\)"),
        ((4, 1, 6, 6), r"l\.flatten\(\), which counts each patch, or l\.flatten\(1\)\.mean\(1\)"),
        ((), r"l\.reshape\(1\)"),
        ((0,), "empty batch"),
        ((0, 1), "empty batch"),
    ],
)
def test_each_wrong_shape_gets_a_remedy(shape: tuple[int, ...], remedy: str) -> None:
    with pytest.raises(ValueError, match=remedy):
        one_logit_an_example(torch.zeros(shape), "l")


def test_the_remedies_are_accepted() -> None:
    logits = torch.randn(4, 1, 1, 1)
    assert torch.equal(one_logit_an_example(logits.flatten(), "l"), logits[:, 0, 0, 0])
    assert one_logit_an_example(torch.randn(4, 1, 6, 6).flatten(1).mean(1), "l").shape == (4,)
    assert class_logits(torch.randn(4, 3, 1, 1).flatten(1), "l").shape == (4, 3)


@pytest.mark.parametrize("check", [lambda x: one_logit_an_example(x[:, 0], "l"), lambda x: class_logits(x, "l")])
def test_half_precision_becomes_float32_and_double_is_kept(check: object) -> None:
    for dtype, wanted in ((torch.float16, torch.float32), (torch.float64, torch.float64)):
        assert check(torch.zeros(2, 3, dtype=dtype)).dtype == wanted  # type: ignore[operator]


@pytest.mark.parametrize(
    ("shape", "remedy"),
    [((4,), r"\(N, K\).*\(4,\)\.$"), ((4, 0), r"K >= 1"), ((4, 3, 1, 1), r"Give l\.flatten\(1\)")],
)
def test_class_logits(shape: tuple[int, ...], remedy: str) -> None:
    with pytest.raises(ValueError, match=remedy):
        class_logits(torch.zeros(shape), "l")

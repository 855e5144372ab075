import torch
from torch import Tensor, nn

from improved_gan.models import Discriminator, Judgement, judge_together


class Linear(Discriminator):
    """Three class logits and the pixels as features; counts its passes."""

    def __init__(self, *, independent_rows: bool) -> None:
        super().__init__()
        self.independent_rows = independent_rows
        self.layer, self.passes = nn.Linear(4, 3), 0

    def forward(self, images: Tensor) -> Judgement:
        self.passes += 1
        return Judgement(self.layer(images.flatten(1)), images.flatten(1))


def test_one_pass_gives_what_several_give() -> None:
    batches = [torch.randn(n, 1, 2, 2) for n in (3, 1, 5)]
    together = Linear(independent_rows=True)
    results = judge_together(together, batches)
    assert together.passes == 1
    for batch, judgement in zip(batches, results, strict=True):
        assert torch.equal(judgement.features, batch.flatten(1))
        torch.testing.assert_close(judgement.logits, together(batch).logits)


def test_a_discriminator_that_looks_across_the_batch_judges_each_alone() -> None:
    discriminator = Linear(independent_rows=False)
    results = judge_together(discriminator, [torch.randn(2, 1, 2, 2), torch.randn(4, 1, 2, 2)])
    assert discriminator.passes == 2
    assert [len(judgement.logits) for judgement in results] == [2, 4]

import torch
from torch import Tensor, nn

from improved_gan.networks import Discriminator, DiscriminatorOutput, forward_batches


class Linear(Discriminator):
    """Three class logits and the pixels as features; counts its forward passes."""

    def __init__(self, *, is_batch_independent: bool) -> None:
        super().__init__()
        self.is_batch_independent = is_batch_independent
        self.layer, self.passes = nn.Linear(4, 3), 0

    def forward(self, images: Tensor) -> DiscriminatorOutput:
        self.passes += 1
        return DiscriminatorOutput(self.layer(images.flatten(1)), images.flatten(1))


def test_one_pass_equals_several() -> None:
    batches = [torch.randn(n, 1, 2, 2) for n in (3, 1, 5)]
    together = Linear(is_batch_independent=True)
    results = forward_batches(together, batches)
    assert together.passes == 1
    for batch, output in zip(batches, results, strict=True):
        assert torch.equal(output.features, batch.flatten(1))
        torch.testing.assert_close(output.logits, together(batch).logits)


def test_a_batch_dependent_discriminator_gets_each_batch_alone() -> None:
    discriminator = Linear(is_batch_independent=False)
    results = forward_batches(discriminator, [torch.randn(2, 1, 2, 2), torch.randn(4, 1, 2, 2)])
    assert discriminator.passes == 2
    assert [len(output.logits) for output in results] == [2, 4]

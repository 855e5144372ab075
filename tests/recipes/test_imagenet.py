from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from improved_gan.recipes.imagenet import imagenet_128
from improved_gan.recipes.recipe import RecipeError
from improved_gan.techniques import VirtualBatchNorm, WeightEMA


def test_all_techniques_of_the_release_are_present() -> None:
    recipe = imagenet_128()
    with torch.device("meta"):
        generator, discriminator = recipe.generator(), recipe.discriminator()
    norms = [one for one in generator.modules() if isinstance(one, (nn.BatchNorm2d, VirtualBatchNorm))]
    assert [type(one) for one in norms] == [VirtualBatchNorm] * 6
    assert discriminator.compares_real_and_generated
    assert discriminator.minibatch.weight.shape == (2560, 300, 50)
    assert discriminator.output.out_features == 1001
    assert (discriminator.tower, generator.body.reference.shape[0]) == (16, 16)
    objective = recipe.objective
    assert (objective.labeled_as_real, objective.generated_class, objective.simultaneous) == (True, True, True)
    with pytest.raises(
        RecipeError, match=r"one for each network; got generator_updates=2: leave it at 1 \(--generator-updates 1\)"
    ):
        replace(recipe, generator_updates=2)
    assert (recipe.num_labels, recipe.labels_as_given) == (1_281_167, True)
    # D's loss is 0 at its targets of 0.75 and 0, G's at D(G(z)) = 0.375.
    at_target = recipe.objective.discriminator_loss(torch.logit(torch.tensor([0.75])), torch.tensor([-50.0]))
    assert at_target.item() == pytest.approx(0, abs=1e-6)
    assert recipe.objective.generator_loss(torch.logit(torch.tensor([0.375]))).item() == pytest.approx(0, abs=1e-6)
    assert (recipe.learning_rate, recipe.adam_betas[0], recipe.batch_size) == (0.0004, 0.5, 64)


def test_the_tested_discriminator_has_the_weights_of_its_batch_norm_statistics() -> None:
    recipe = imagenet_128()
    network = nn.Sequential(nn.Conv2d(1, 2, 3, bias=False), nn.BatchNorm2d(2, momentum=None), nn.LeakyReLU(0.2))
    average = WeightEMA(network, recipe.ema_decay, every=recipe.ema_every)
    images = torch.randn(64, 1, 8, 8)
    for _ in range(10):
        with torch.no_grad():
            network[0].weight.mul_(1.5)
        network[1].reset_running_stats()
        network(images)
        average.update()
    tested = average.averaged(network).eval()
    normed = tested[1](tested[0](images))
    torch.testing.assert_close(normed.mean((0, 2, 3)), torch.zeros(2), atol=1e-3, rtol=0)
    torch.testing.assert_close(normed.std((0, 2, 3)), torch.ones(2), atol=1e-2, rtol=0)


def test_it_needs_a_folder() -> None:
    with pytest.raises(RecipeError, match="name it with --data FOLDER"):
        imagenet_128().load_data(None)
    with pytest.raises(ValueError, match="nowhere"):
        imagenet_128().load_data(Path("nowhere"))

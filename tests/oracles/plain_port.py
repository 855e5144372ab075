"""The training step as a user would port it from the released script: three passes of D, losses written out."""

import torch

from improved_gan.networks import DenseDiscriminator, DenseGenerator


def plain_step(
    generator: DenseGenerator,
    discriminator: DenseDiscriminator,
    batch,
    discriminator_optimizer: torch.optim.Optimizer,
    generator_optimizer: torch.optim.Optimizer,
) -> dict[str, float]:
    """Update both networks once; returns the loss terms by the names of our step."""
    size = len(batch.unlabeled_images)
    generated_images = generator(torch.rand(size, generator.latent_size)).detach()
    labeled = discriminator(batch.labeled_images).logits
    unlabeled = torch.logsumexp(discriminator(batch.unlabeled_images).logits, 1)
    generated = torch.logsumexp(discriminator(generated_images).logits, 1)
    chosen = labeled[torch.arange(len(batch.labels)), batch.labels]
    supervised = -chosen.mean() + torch.logsumexp(labeled, 1).mean()
    softplus = torch.nn.functional.softplus
    unsupervised = 0.5 * (-unlabeled.mean() + softplus(unlabeled).mean() + softplus(generated).mean())
    discriminator_optimizer.zero_grad()
    (supervised + unsupervised).backward()
    discriminator_optimizer.step()

    real_mean = discriminator(batch.matching_images).features.mean(0).detach()
    generated_mean = discriminator(generator(torch.rand(size, generator.latent_size))).features.mean(0)
    matching = ((real_mean - generated_mean) ** 2).sum()
    generator_optimizer.zero_grad()
    matching.backward()
    generator_optimizer.step()
    return {
        "discriminator/supervised": supervised.item(),
        "discriminator/unsupervised": unsupervised.item(),
        "generator/feature_matching": matching.item(),
    }

"""ImageNet at 128x128 (paper, section 6.4)."""

from functools import partial
from pathlib import Path

from improved_gan.data.dataset import Dataset
from improved_gan.data.download import cache_folder
from improved_gan.data.folder import FolderOptions, load_folder
from improved_gan.networks.convolutional import ReferenceGenerator
from improved_gan.networks.imagenet import ImageNetDiscriminator, ImageNetGenerator
from improved_gan.recipes.recipe import Recipe, RecipeError
from improved_gan.techniques.label_smoothing import divergence_discriminator_loss, divergence_generator_loss
from improved_gan.techniques.minibatch_discrimination import MinibatchDiscrimination
from improved_gan.training.objectives import Adversarial

__all__ = ["imagenet_128"]

_SHAPE, _NUM_CLASSES, _NUM_IMAGES = (3, 128, 128), 1000, 1_281_167
_BATCH, _TOWER = 64, 16


def imagenet_128(labels: int | None = None) -> Recipe:
    """The released ImageNet networks and losses (9 June 2016, commit f9b62d3, VBN of e0e5ffc), batch size 4 x 16.

    Latents at every scale, virtual batch norm in G with a reference batch of 16, batch norm in D by real and by
    generated rows, two-sided minibatch features in towers of 16 and 16 images, 1000 classes and "generated", alpha =
    0.75 in the divergence form. All images have labels, and those of D's class loss are the real ones of its other
    loss too. Both networks are updated at once, from the same latents and images. What differs from the release is in
    docs/history.md; among it, D's batch norm has running statistics, for evaluation, and there is a last epoch.

    Figure 6. Expected: no number; samples with recognizable animals' fur, eyes and noses,
    but wrong anatomy. Measured: seconds and memory of a step in docs/results.md; not trained to the end yet.

    D's weights are not averaged, since its batch norm has the statistics of the current weights. The error in the log
    is computed with each batch of test images as both halves, "real" and "generated".

    Args:
        labels: the number of labels; default all of them.
    """
    return Recipe(
        name="imagenet-128",
        summary="folders of images by class at 128x128: latents at every scale, VBN, two-sided minibatch features",
        load_data=_load,
        num_labels=_NUM_IMAGES if labels is None else labels,
        labels_as_given=labels is None,
        generator=partial(ReferenceGenerator, partial(ImageNetGenerator, image_shape=_SHAPE), num_reference=_TOWER),
        discriminator=partial(
            ImageNetDiscriminator,
            image_shape=_SHAPE,
            num_classes=_NUM_CLASSES,
            minibatch=partial(MinibatchDiscrimination, num_kernels=300, kernel_dim=50, across_ranks=False),
            tower=_TOWER,
        ),
        objective=Adversarial(
            discriminator_loss=partial(divergence_discriminator_loss, positive_target=0.75),
            generator_loss=partial(divergence_generator_loss, positive_target=0.75),
            supervised_weight=1.0,
            labeled_as_real=True,
            generated_class=True,
            simultaneous=True,
        ),
        epochs=25,
        learning_rate=0.0004,
        adam_epsilon=1e-8,
        batch_size=_BATCH,
        ema_decay=0.0,
        init_batch_size=0,
        image_shape=_SHAPE,
        num_classes=_NUM_CLASSES,
        sample_every=1,
        paper="samples only (figure 6)",
    )


def _load(folder: Path | None) -> Dataset:
    if folder is None:
        raise RecipeError("imagenet-128 trains on a folder of images by class: name it with --data FOLDER")
    options = FolderOptions(images=folder, cache=cache_folder() / "decoded", size=_SHAPE[1], enlarge_few=True)
    return load_folder(options).dataset

"""The DCGAN of label spreading with neighbors that bend (docs/techniques/image_deformation_model.md)."""

import dcgan
import dcgan_label_spreading
import dcgan_semi_supervised
from improved_gan.label_spreading import idm_neighbors


def make_gan() -> dcgan.Gan:
    images = dcgan.digits()[0][:1297]
    return dcgan_label_spreading.make_gan(idm_neighbors(images, 10, max_displacement=1))


if __name__ == "__main__":
    wrong = dcgan_semi_supervised.wrong_of_500(dcgan.main(make_gan).discriminator)
    print(f"wrong of 500 test images: {wrong}")

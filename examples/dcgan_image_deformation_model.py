"""
Label spreading under the image deformation distance
====================================================

The DCGAN with label spreading over an IDM k-NN graph (:doc:`guide </techniques/image_deformation_model>`).
"""

import dcgan
import dcgan_label_spreading
import dcgan_semi_supervised
from improved_gan.label_spreading import idm_neighbors


def make_gan() -> dcgan.Gan:
    images = dcgan.digits()[0][:1297]
    return dcgan_label_spreading.make_gan(idm_neighbors(images, 10, max_displacement=1))


if __name__ == "__main__":
    errors = dcgan_semi_supervised.errors_of_500(dcgan.main(make_gan).discriminator)
    print(f"errors of 500 test images: {errors}")

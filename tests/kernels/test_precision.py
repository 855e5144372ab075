import pytest
import torch

from improved_gan.kernels.precision import at_least_float32, precise


@pytest.mark.parametrize(
    ("dtype", "wanted"),
    [
        (torch.float16, torch.float32),
        (torch.bfloat16, torch.float32),
        (torch.uint8, torch.float32),
        (torch.float32, torch.float32),
        (torch.float64, torch.float64),
    ],
)
def test_dtype_of_sums(dtype: torch.dtype, wanted: torch.dtype) -> None:
    assert at_least_float32(dtype) == wanted
    values = torch.ones(3, dtype=dtype)
    assert precise(values).dtype == wanted
    assert (precise(values) is values) == (dtype == wanted)

"""Random numbers of a thread's own: equal to those of the default generators, which are not touched."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
import torch
from torch import Tensor, nn

from improved_gan.kernels.noise import Dropout, add_normal
from improved_gan.kernels.random_source import (
    get_random_state,
    in_place_of_default,
    own_generator_by_default,
    own_random_numbers,
    seed_random_numbers,
    set_random_state,
    source,
)
from improved_gan.networks import DenseGenerator


def draw_all() -> list[Tensor]:
    """What training draws: initial weights, latents, noise and dropout, each also by PyTorch's own operation."""
    with own_generator_by_default():
        generator, layer = DenseGenerator((1, 2, 2), hidden=(3,)), nn.Linear(3, 3)
    ones = torch.ones(3, 5)
    drawn = [layer.weight, generator.output.bias, generator.draw_latents(4)]
    drawn += [add_normal(values, 1.0) for values in (ones, ones.bfloat16(), ones.double())]
    return drawn + [Dropout(0.3)(values) for values in (ones, ones.bfloat16(), ones.double())]


@pytest.fixture
def expected() -> list[Tensor]:
    with torch.random.fork_rng():
        torch.manual_seed(7)
        return draw_all()


def test_own_numbers_equal_those_of_the_default_generator(expected) -> None:
    before = torch.get_rng_state()
    with own_random_numbers(7):
        drawn = draw_all()
    assert all(map(torch.equal, drawn, expected))
    assert torch.equal(torch.get_rng_state(), before)
    assert source() is None


def test_two_threads_get_what_each_gets_alone(expected) -> None:
    both = Barrier(2)

    def draw(_: int) -> list[Tensor]:
        with own_random_numbers(7):
            both.wait()
            return draw_all()

    with ThreadPoolExecutor(2) as pool:
        for drawn in pool.map(draw, range(2)):
            assert all(map(torch.equal, drawn, expected))


def test_state_of_the_generator_in_use() -> None:
    before = torch.get_rng_state()
    with own_random_numbers(1):
        state = get_random_state()
        first = add_normal(torch.zeros(9), 1.0)
        set_random_state(state)
        assert torch.equal(add_normal(torch.zeros(9), 1.0), first)
        seed_random_numbers(1)
        assert torch.equal(add_normal(torch.zeros(9), 1.0), first)
        assert not torch.equal(add_normal(torch.zeros(9), 1.0), first)
    assert torch.equal(torch.get_rng_state(), before)
    with torch.random.fork_rng():
        seed_random_numbers(1)
        assert torch.equal(get_random_state(), torch.Generator().manual_seed(1).get_state())
        assert torch.equal(add_normal(torch.zeros(9), 1.0), first)


def test_in_place_of_default() -> None:
    before = torch.get_rng_state()
    wanted = torch.rand(5, generator=torch.Generator().manual_seed(3))
    with own_random_numbers(3):
        with in_place_of_default("cpu"):
            first = torch.rand(2)
        assert torch.equal(torch.get_rng_state(), before)
        with pytest.raises(RuntimeError), in_place_of_default("cpu"):
            torch.ones(2) @ torch.rand(2).new_ones(3)
        with in_place_of_default("cpu"):
            assert torch.equal(torch.cat([first, torch.rand(1)]), wanted[[0, 1, 4]])
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_on_a_gpu_too() -> None:
    ones = torch.ones(50, device="cuda")

    def draw() -> Tensor:
        return torch.stack([add_normal(ones, 1.0), Dropout(0.3)(ones)])

    with torch.random.fork_rng(["cuda"]):
        torch.manual_seed(7)
        expected = draw()
    before = torch.cuda.get_rng_state()
    with own_random_numbers(7, "cuda"):
        drawn = draw()
    assert torch.equal(drawn, expected)
    assert torch.equal(torch.cuda.get_rng_state(), before)

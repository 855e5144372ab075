import copy
import pickle

import torch

from improved_gan.kernels.followed_tensors import FollowedTensors


def test_copies_made_together_belong_together_whatever_comes_first() -> None:
    weight = torch.ones(2)
    followed = FollowedTensors([weight])
    for both in (copy.deepcopy({"a": weight, "b": followed}), copy.deepcopy({"b": followed, "a": weight})):
        assert both["b"].tensors()[0] is both["a"]
        assert both["a"] is not weight
    loaded, one = pickle.loads(pickle.dumps((followed, weight)))
    assert loaded.tensors()[0] is one


def test_a_copy_alone_and_its_copy_follow_the_same_tensors() -> None:
    weight = torch.ones(2)
    assert copy.deepcopy(copy.deepcopy(FollowedTensors([weight]))).tensors()[0] is weight

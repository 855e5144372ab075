import numpy as np
import torch

from improved_gan.export.export_module import ExportSpec, TensorSpec
from improved_gan.export.model_card import card_of, markdown, versions

SETTINGS = {
    "recipe": "mine", "seed": 3, "epochs": 9, "image_shape": [3, 4, 5], "class_names": ["cat", "# <b>dog</b>|`x`\n# y"],
    "improved_gan": "0.1.0",
    "label_split": {"num_labels": 3, "num_images": 90, "seed": 5, "sha256": "ab" * 32, "labels": [0, 1, 1]},
    "values": {"load_data": {"call": "mine.load", "folder": "x"}, "objective": "K+1"},
    "description": {"paper": "93 wrong"},
}  # fmt: skip
LOG = [{"epoch": 1, "test/error": 0.5}, {"epoch": 9, "step": 70, "test/error": 0.125, "test/num_errors": 25,
        "diagnostics": [{"name": "won", "message": "the discriminator has won"}]}]  # fmt: skip


def card(settings: dict = SETTINGS, log: list[dict] = LOG) -> dict:
    outputs = (
        TensorSpec("probabilities", "float32", ("N", 2), "of each"),
        TensorSpec("real_score", "float32", ("N",), "D(x)"),
    )
    picture = TensorSpec("images", "uint8", ("N", 4, 5, 3), "RGB")
    spec = ExportSpec("classifier", torch.nn.Identity(), picture, outputs, lambda rows: (rows,), torch.ones)
    made = card_of(spec, settings, log, step=70, weights_sha256="cd" * 32, layout="nhwc", packages=versions())
    more = {"file": "x.onnx", "bytes": 12345, "sha256": "ef" * 32, "largest_difference": {"probabilities": 2e-7},
            "checked_in": "onnxruntime"}  # fmt: skip
    return {**made, **more}


def test_the_card_says_where_it_comes_from_and_how_good_it_is() -> None:
    made = card()
    assert made["training"]["labels"] == {
        "number": 3, "per_class": {"cat": 1, SETTINGS["class_names"][1]: 2}, "split_seed": 5, "split_sha256": "ab" * 32,
    }  # fmt: skip
    assert (made["evaluation"]["part"], made["evaluation"]["error"]) == ("test", 0.125)
    text = markdown(made)
    for part in ("12.50% (25 wrong)", "93 wrong", "ab" * 32, "cd" * 32, "ef" * 32, "9 of 9 epochs", "2.0e-07",
                 "the discriminator has won", "arXiv:1606.03498", "12,345 bytes", "TO BE FILLED IN",
                 "| `images` | uint8 | (N, 4, 5, 3) |", "| `real_score` | float32 | (N,) |"):  # fmt: skip
        assert part in text, part
    assert torch.__version__ in text


def test_a_run_on_custom_images_states_its_validation_error_and_crop() -> None:
    own = {"recipe": "folder", "data_sha256": "12" * 32, "label_split": SETTINGS["label_split"] | {"held_out": [7, 8]}}
    made = card({**SETTINGS, **own}, [{"epoch": 9, "validation/error": 0.25, "validation/num_errors": 7}])
    assert f"`custom image folder`, 88 training images, SHA-256 of their content `{'12' * 32}`" in markdown(made)
    assert made["evaluation"]["part"] == "validation"
    assert "25.00% (7 wrong) of the validation images" in markdown(made)
    assert (made["crop"], card()["crop"]) == ("central square", "none")
    assert "largest central square" in markdown(made)
    assert "central square" not in markdown(card())


def test_names_cannot_write_markup_into_the_card() -> None:
    text = markdown(card())
    assert "<b>" not in text
    assert sum(line.startswith("# ") for line in text.splitlines()) == 1


def test_a_run_without_a_report_says_that_nothing_was_measured() -> None:
    made = card()
    made["evaluation"]["error"] = None
    assert "Error of the run's classifier: not measured" in markdown(made)


def test_versions_leave_out_what_is_not_installed() -> None:
    assert {"python", "improved-gan", "torch", "numpy"} <= set(versions("numpy", "no-such-package"))
    assert "no-such-package" not in versions("no-such-package")


def test_a_value_range_is_said_with_its_formula() -> None:
    made = card({**SETTINGS, "recipe": "folder", "value_range": [-0.5, 4095.0]})
    assert (made["values"]["low"], made["values"]["high"]) == (-0.5, 4095.0)
    formula = made["values"]["bytes"].split(" of each value")[0]
    words = {"round": np.rint, "clip": np.clip, "v": np.linspace(-9, 5000, 1000)}
    expected = np.rint(255 * (words["v"] + 0.5) / 4095.5).clip(0, 255)
    assert np.abs(eval(formula, {"__builtins__": {}}, words) - expected).max() <= 1
    assert formula in markdown(made)
    assert card()["values"] is None
    assert "Values of image files" not in markdown(card())

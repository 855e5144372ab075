import inspect
from dataclasses import fields

from improved_gan.commands.evaluate import EvaluateOptions
from improved_gan.commands.evaluate_options import evaluate


def test_every_option_reaches_the_command_with_its_default() -> None:
    parameters = inspect.signature(evaluate).parameters
    assert list(parameters) == [field.name for field in fields(EvaluateOptions)]
    for field in fields(EvaluateOptions)[1:]:
        assert parameters[field.name].default == field.default, field.name

from improved_gan.training.schedule import Schedule


def test_the_learning_rate_falls_to_the_end() -> None:
    schedule = Schedule(epochs=10, learning_rate=0.3, lr_decay_fraction=0.4)
    rates = [round(schedule.lr(epoch), 6) for epoch in range(10)]
    assert rates == [0.3] * 7 + [0.225, 0.15, 0.075]
    assert Schedule(epochs=10, learning_rate=0.3).lr(9) == 0.3


def test_scored_epochs_are_multiples() -> None:
    assert list(Schedule(epochs=7, learning_rate=1.0, eval_every=3).scored_epochs()) == [3, 6]
    assert not Schedule(epochs=7, learning_rate=1.0).scored_epochs()

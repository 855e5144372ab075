from improved_gan.turing_test.picture_figures import picture_figures
from improved_gan.turing_test.votes import votes_from_rows


def test_pictures_count_both_of_a_pair() -> None:
    pair = {"design": "two_alternative", "model": "g", "picture": 7, "partner": 3, "signal": 1}
    rows = [{"judge": j, "response": int(j == 0), **pair} for j in range(4)]
    found = {(one.picture, one.model): (one.votes, one.wrong) for one in picture_figures(votes_from_rows(rows))}
    assert found == {(7, "g"): (4, 3), (3, "real"): (4, 3)}


def test_votes_about_unknown_pictures_are_about_no_picture() -> None:
    rows = [
        {"judge": j, "signal": k % 2, "response": 1, "picture": -1 if k < 4 else k} for j in (0, 1) for k in range(6)
    ]
    found = picture_figures(votes_from_rows(rows))
    assert {one.picture for one in found} == {4, 5}

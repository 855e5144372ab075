from improved_gan.turing_test.tokens import hash_token, matches, new_token, sign


def test_tokens_are_random_and_signatures_depend_on_every_word() -> None:
    assert len({new_token() for _ in range(100)}) == 100
    made = {sign(secret, *words) for secret in (b"a", b"b") for words in (("x", 1), ("x", 11), ("x", 1, 1), ("x1",))}
    assert len(made) == 8
    assert {len(one) for one in made} == {24}


def test_matching_and_hashing() -> None:
    assert matches("same", "same")
    assert not matches("same", "sam")
    assert hash_token("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"

"""Random tokens, and signed tokens of a study, which are verified without a database query."""

import base64
import hashlib
import hmac
import secrets

__all__ = ["hash_token", "matches", "new_token", "sign"]


def new_token(num_bytes: int = 24) -> str:
    """A random token for an address or a cookie: 8 bits of chance a byte."""
    return secrets.token_urlsafe(num_bytes)


def hash_token(token: str) -> str:
    """What is stored of a token: SHA-256 in hexadecimal, of no use to a reader of the database.

    Example:
        >>> len(hash_token("secret"))
        64
    """
    return hashlib.sha256(_bytes(token)).hexdigest()


def sign(secret: bytes, *words: object) -> str:
    """A token of 24 characters for these words, which nobody without the secret can make or read (HMAC-SHA-256).

    Example:
        >>> sign(b"key", "picture", 1, 0) == sign(b"key", "picture", 1, 0) != sign(b"key", "picture", 10)
        True
    """
    text = _bytes("\0".join(map(str, words)))
    return base64.urlsafe_b64encode(hmac.digest(secret, text, "sha256")[:18]).decode()


def matches(given: str, expected: str) -> bool:
    """Whether two tokens are the same, in a time that says nothing about where they differ.

    Example:
        >>> matches("a", "a"), matches("ä", "a")
        (True, False)
    """
    return hmac.compare_digest(_bytes(given), _bytes(expected))


def _bytes(text: str) -> bytes:
    return text.encode(errors="surrogatepass")  # JSON can send half a character (\ud800): another token, not an error

"""The key by which our Restate signs its requests, so that the service answers no one else."""

import base64
import json
import subprocess

_ALPHABET = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_RAW_KEY_BYTES = 32


def new_signing_key() -> tuple[bytes, str]:
    """Make a private Ed25519 key (PEM, for Restate) and its public key (publickeyv1_..., for the service)."""
    private = _openssl("genpkey", "-algorithm", "ed25519")
    public = _openssl("pkey", "-pubout", "-outform", "DER", given=private)[-_RAW_KEY_BYTES:]
    return private, f"publickeyv1_{_base58(public)}"


def as_secret(name: str) -> str:
    """Make a Secret with a new key pair, as `kubectl create -f -` takes it."""
    private, public = new_signing_key()
    content = {"private.pem": private, "public": public.encode()}
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name},
        "immutable": True,
        "data": {key: base64.b64encode(value).decode() for key, value in content.items()},
    }
    return json.dumps(secret)


def _openssl(*arguments: str, given: bytes = b"") -> bytes:
    # The arguments are constants, and the image decides which openssl is found.
    return subprocess.run(["openssl", *arguments], input=given, capture_output=True, check=True).stdout  # noqa: S603, S607


def _base58(content: bytes) -> str:
    number, digits = int.from_bytes(content), ""
    while number:
        number, digit = divmod(number, len(_ALPHABET))
        digits = _ALPHABET[digit] + digits
    leading_zeros = len(content) - len(content.lstrip(b"\0"))
    return _ALPHABET[0] * leading_zeros + digits

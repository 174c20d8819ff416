"""An identity provider in small, for systems in which no real money moves: a key, and tokens signed with it."""

import base64
import json
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from click import ClickException

ISSUER = "https://identity.example"
AUDIENCE = "betting"
ROLES_CLAIM = "roles"
KEY_ID = "sandbox"
EXPONENT = "AQAB"
"""65537, which is openssl's."""


def new_key() -> bytes:
    """Make a private key (PEM) that signs tokens."""
    return _openssl("genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048")


def signing_key(file: Path) -> Path:
    """The file with the key, made once and for its owner alone."""
    if not file.exists():
        draft = file.with_suffix(".draft")
        draft.unlink(missing_ok=True)
        draft.touch(mode=0o600)
        draft.write_bytes(new_key())
        draft.replace(file)  # in one step: half a key would be kept for ever
    return file


def key_set(private_pem: bytes) -> str:
    """The public key of a private one, as a JSON Web Key Set."""
    said = _openssl("rsa", "-noout", "-modulus", given=private_pem).decode().strip()
    modulus = bytes.fromhex(said.removeprefix("Modulus="))
    key = {"kty": "RSA", "use": "sig", "alg": "RS256", "kid": KEY_ID, "n": _base64url(modulus), "e": EXPONENT}
    return json.dumps({"keys": [key]})


def token(file: Path, user: str, roles: Sequence[str], minutes: int) -> str:
    """A token that says who its bearer is, and in which roles, for so many minutes."""
    now = int(time.time())
    claims = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": user,
        ROLES_CLAIM: list(roles),
        "iat": now,
        "exp": now + minutes * 60,
    }
    parts = ({"alg": "RS256", "typ": "JWT", "kid": KEY_ID}, claims)
    signed = ".".join(_base64url(json.dumps(part, separators=(",", ":")).encode()) for part in parts)
    signature = _openssl("dgst", "-sha256", "-sign", str(file), given=signed.encode())
    return f"{signed}.{_base64url(signature)}"


def _base64url(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).decode().rstrip("=")


def _openssl(*arguments: str, given: bytes = b"") -> bytes:
    try:
        done = subprocess.run(["openssl", *arguments], input=given, capture_output=True, check=True)  # noqa: S603, S607
    except (FileNotFoundError, subprocess.CalledProcessError) as error:
        raise ClickException(f"openssl makes the keys and tokens, and could not: {error}") from None
    return done.stdout

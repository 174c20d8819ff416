"""Tokens as an identity provider signs them, and as others try to."""

import base64
import hashlib
import hmac
import json
import time
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from app.sandbox.identity import AUDIENCE, ISSUER, KEY_ID

Claims = dict[str, Any]
ABSENT = object()
"""The value of a claim that is not there."""


class Signer:
    """Who signs tokens with a key, as the door knows it."""

    def __init__(self, key: RSAPrivateKey, issuer: str = ISSUER, key_id: str = KEY_ID) -> None:
        self.key = key
        self.issuer = issuer
        self.key_id = key_id

    @classmethod
    def of(cls, file: Path) -> "Signer":
        """Who has the key in a file."""
        key = load_pem_private_key(file.read_bytes(), None)
        assert isinstance(key, RSAPrivateKey)
        return cls(key)

    def token(self, user: str = "ann", **claims: Any) -> str:
        """A good token, but for the claims that are given."""
        return jwt.encode(self._claims(user, claims), self.key, "RS256", {"kid": self.key_id})

    def signed_as(self, algorithm: str, user: str = "ann") -> str:
        """A token by the right key, and another algorithm than it is for."""
        return jwt.encode(self._claims(user, {}), self.key, algorithm, {"kid": self.key_id})

    def unsigned(self, user: str = "ann", algorithm: str = "none") -> str:
        """A token that nobody signed."""
        return _joined({"alg": algorithm, "kid": self.key_id}, self._claims(user, {}), b"")

    def by_public_key(self, user: str = "ann") -> str:
        """A token whose signature takes the public key for a shared secret."""
        secret = self.key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        unsigned = self.unsigned(user, "HS256").rstrip(".")
        signature = hmac.new(secret, unsigned.encode(), hashlib.sha256).digest()
        return f"{unsigned}.{_base64url(signature)}"

    def by_own_key(self, user: str = "ann") -> str:
        """A token that brings the key along that it is signed with."""
        key = generate_private_key(65_537, 2_048)
        public = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(key.public_key()))
        return jwt.encode(self._claims(user, {}), key, "RS256", {"kid": self.key_id, "jwk": public})

    def with_other_payload(self, user: str) -> str:
        """A good token's signature on another payload."""
        header, _, signature = self.token().split(".")
        return f"{header}.{_base64url(json.dumps(self._claims(user, {})).encode())}.{signature}"

    def with_header(self, user: str = "ann", **others: Any) -> str:
        """A good token, but for what its header says besides, or instead."""
        return jwt.encode(self._claims(user, {}), self.key, "RS256", {"kid": self.key_id, **others})

    def ending_in(self, more: bytes, user: str = "ann") -> str:
        """A token whose payload is a good one's with more at its end, as it is given."""
        header = _base64url(json.dumps({"alg": "RS256", "kid": self.key_id}).encode())
        payload = _base64url(json.dumps(self._claims(user, {})).encode()[:-1] + more)
        signature = self.key.sign(f"{header}.{payload}".encode(), PKCS1v15(), SHA256())
        return f"{header}.{payload}.{_base64url(signature)}"

    def _claims(self, user: str, others: Claims) -> Claims:
        return good_claims(user, **{"iss": self.issuer, **others})


def good_claims(user: str, **others: Any) -> Claims:
    """What a good token says, but for the claims that are given."""
    now = int(time.time())
    every = {"iss": ISSUER, "aud": AUDIENCE, "sub": user, "iat": now, "exp": now + 600, **others}
    return {name: value for name, value in every.items() if value is not ABSENT}


def stranger() -> Signer:
    """Who signs with a key that the door does not know."""
    return Signer(generate_private_key(65_537, 2_048))


def _joined(header: Claims, claims: Claims, signature: bytes) -> str:
    return ".".join(_base64url(part) for part in (json.dumps(header).encode(), json.dumps(claims).encode(), signature))


def _base64url(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).decode().rstrip("=")

"""A receiver of webhooks of a2ad: prints each event once, as a line of JSON behind the id of its delivery.

Needs Python 3.9 and the package `cryptography`, and nothing else:

    python receiver.py --url http://127.0.0.1:8500/hooks --keys http://127.0.0.1:8420/.well-known/jwks.json

A request is taken only if a key of the agent signed it (RFC 9421): its method, the URL of the webhook as the agent knows
it, the digest of its body (RFC 9530), its type, the id of its delivery, and the time. Ids are remembered for as long as a
signature holds, so that nothing is taken twice and nothing can be replayed.
"""

import argparse
import base64
import binascii
import hashlib
import hmac
import http.server
import json
import os
import re
import sys
import threading
import time
import urllib.request
from collections import OrderedDict

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, utils
from cryptography.hazmat.primitives.hashes import SHA256

TAG = "a2ad-push"
AGE_MAX_S = 300
LEEWAY_S = 60
BODY_BYTES_MAX = 4 << 20
FIELD_BYTES_MAX = 8192
DELIVERIES_MAX = 65536
KEYS_BYTES_MAX = 65536
KEYS_FRESH_S = 3600
KEYS_PAUSE_S = 10
TIMEOUT_S = 10
TYPES = ("application/a2a+json", "application/json")
COVERED = ("@method", "@target-uri", "content-digest", "content-type", "a2a-notification-id")

# One signature in the form in which a2ad writes it (RFC 9651); whatever is written otherwise is refused.
NAME, VALUE = r'"[a-z0-9@_-]+"', r'(?:-?[0-9]{1,15}|"[!#-\[\]-~ ]*")'
INPUT = re.compile(rf"([a-z][a-z0-9_-]*)=(\({NAME}(?: {NAME})*\)((?:;[a-z]+={VALUE})+))")
PARAMETER = re.compile(r';([a-z]+)=(?:(-?[0-9]+)|"([^"]*)")')
SIGNATURE = re.compile(r"([a-z][a-z0-9_-]*)=:([A-Za-z0-9+/]+={0,2}):")
DIGEST = re.compile(r"sha-256=:([A-Za-z0-9+/]{43}=):")
ID = re.compile(r"[!-~]{1,256}")


class Refused(Exception):
    """Why a request does not count as signed."""


class Away(Exception):
    """The keys can't be had."""


class Keys:
    """The keys of the agent, by their ids: from a file, or fetched from a URL when they are needed."""

    def __init__(self, source):
        self.source = source
        self.lock = threading.Lock()
        self.keys = None
        self.had_at = self.asked_at = float("-inf")

    def get(self, kid):
        """The key with this id, which may be newer than those that are known."""
        with self.lock:
            now = time.monotonic()
            is_known = self.keys is not None and kid in self.keys and now - self.had_at < KEYS_FRESH_S
            if not is_known and now - self.asked_at >= KEYS_PAUSE_S:
                self.asked_at = now
                try:
                    self.keys = parse_keys(self.fetch())
                    self.had_at = now
                except (OSError, ValueError) as error:
                    print(f"no keys from {self.source}: {error}", file=sys.stderr)
            if self.keys is None:
                raise Away()
            if kid not in self.keys:
                raise Refused(f"the key {kid!r} is not in the set")
            return self.keys[kid]

    def fetch(self):
        if "://" not in self.source:
            with open(self.source, "rb") as file:
                return file.read(KEYS_BYTES_MAX)
        with urllib.request.urlopen(self.source, timeout=TIMEOUT_S) as answer:
            return answer.read(KEYS_BYTES_MAX)


def parse_keys(text):
    """A function for each key of a JWK set (RFC 7517) that checks a signature with it."""
    keys = {}
    for jwk in json.loads(text)["keys"]:
        kind = (jwk.get("kty"), jwk.get("crv"))
        if jwk.get("use", "sig") != "sig" or "kid" not in jwk:
            continue
        if kind == ("OKP", "Ed25519"):
            keys[jwk["kid"]] = ("ed25519", ed25519_check(jwk))
        elif kind == ("EC", "P-256"):
            keys[jwk["kid"]] = ("ecdsa-p256-sha256", p256_check(jwk))
    return keys


def ed25519_check(jwk):
    key = ed25519.Ed25519PublicKey.from_public_bytes(from_base64url(jwk["x"]))
    return key.verify


def p256_check(jwk):
    x, y = (int.from_bytes(from_base64url(jwk[name]), "big") for name in "xy")
    key = ec.EllipticCurvePublicNumbers(x, y, ec.SECP256R1()).public_key()

    def check(signature, signed):
        if len(signature) != 64:
            raise InvalidSignature()
        r, s = (int.from_bytes(half, "big") for half in (signature[:32], signature[32:]))
        key.verify(utils.encode_dss_signature(r, s), signed, ec.ECDSA(SHA256()))

    return check


def from_base64url(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def verify(method, url, headers, keys, now):
    """The id of the delivery and the digest of the body of a request with a good signature."""
    input_field, signature_field = one(headers, "signature-input"), one(headers, "signature")
    if len(input_field) > FIELD_BYTES_MAX or len(signature_field) > FIELD_BYTES_MAX:
        raise Refused("too long")
    described, signed = INPUT.fullmatch(input_field), SIGNATURE.fullmatch(signature_field)
    if not described or not signed or described[1] != signed[1]:
        raise Refused("not one signature of the expected form")
    names = re.findall(r'"([^"]+)"', described[2][: described[2].index(")")])
    parameters = {}
    for name, number, text in PARAMETER.findall(described[3]):
        if name in parameters:
            raise Refused(f"{name} stands there twice")
        parameters[name] = int(number) if number else text
    if len(set(names)) != len(names) or not set(COVERED) <= set(names):
        raise Refused("it does not cover what it has to")
    if parameters.get("tag") != TAG:
        raise Refused("it is for another purpose")
    check_time(parameters, now)

    lines = []
    for name in names:
        value = {"@method": method, "@target-uri": url}.get(name)
        lines.append(f'"{name}": {one(headers, name) if value is None else value}')
    lines.append(f'"@signature-params": {described[2]}')
    algorithm, check = keys.get(parameters.get("keyid"))
    if parameters.get("alg", algorithm) != algorithm:
        raise Refused("not of the algorithm of its key")
    try:
        check(base64.b64decode(signed[2], validate=True), "\n".join(lines).encode("ascii"))
    except (InvalidSignature, binascii.Error, UnicodeEncodeError):
        raise Refused("the key did not sign this request") from None

    delivery, digest = one(headers, "a2a-notification-id"), DIGEST.fullmatch(one(headers, "content-digest"))
    if not digest or not ID.fullmatch(delivery):
        raise Refused("no digest, or no id of a delivery")
    return delivery, base64.b64decode(digest[1])


def check_time(parameters, now):
    created, expires = parameters.get("created"), parameters.get("expires", float("inf"))
    if not isinstance(created, int) or isinstance(expires, str):
        raise Refused("it does not say when it was made")
    if not -LEEWAY_S <= now - created <= AGE_MAX_S or now > expires + LEEWAY_S:
        raise Refused("it is too old, or made in the future")


def one(headers, name):
    """The value of a header that stands there once."""
    values = headers.get_all(name, [])
    if len(values) != 1:
        raise Refused(f"{name} has to stand there once")
    return values[0].strip()


class Deliveries:
    """What was taken: no id is forgotten while a signature over it may hold."""

    def __init__(self):
        self.lock = threading.Lock()
        self.taken = OrderedDict()

    def take(self, delivery, event):
        """Prints an event unless it was taken before; False when there is no room."""
        with self.lock:
            now = time.monotonic()
            if delivery in self.taken:
                return True
            if len(self.taken) >= DELIVERIES_MAX:
                oldest = next(iter(self.taken))
                if now - self.taken[oldest] <= AGE_MAX_S + LEEWAY_S:
                    return False
                del self.taken[oldest]
            print(delivery, json.dumps(event, separators=(",", ":")), flush=True)
            self.taken[delivery] = now
            return True


def handler(url, keys, token):
    deliveries = Deliveries()

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = TIMEOUT_S

        def receive(self):
            try:
                length = int(self.headers.get("content-length", "0"))
            except ValueError:
                return self.answer(400)
            if not 0 <= length <= BODY_BYTES_MAX:
                return self.answer(413)
            # Read whatever comes of it: who is cut off while sending never sees the answer.
            body = self.rfile.read(length)
            if self.command != "POST":
                return self.answer(405, ("Allow", "POST"))
            if self.headers.get_content_type() not in TYPES:
                return self.answer(415)
            try:
                self.check_token()
                delivery, digest = verify(self.command, url, self.headers, keys, time.time())
                if not hmac.compare_digest(hashlib.sha256(body).digest(), digest):
                    raise Refused("another body than the one that was signed")
            except Refused as why:
                print(f"refused: {why}", file=sys.stderr)
                return self.answer(401)
            except Away:
                return self.answer(503, ("Retry-After", "5"))
            self.answer(*self.outcome(delivery, body))

        do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = receive

        def outcome(self, delivery, body):
            try:
                event = json.loads(body)
            except ValueError:
                return (400,)
            if not isinstance(event, dict) or len(event) != 1:
                return (400,)
            if not deliveries.take(delivery, event):
                return 503, ("Retry-After", "5")
            return (200,)

        def check_token(self):
            if token is None:
                return
            shown = self.headers.get_all("a2a-notification-token", [])
            shown += self.headers.get_all("x-a2a-notification-token", [])
            if not shown or not all(hmac.compare_digest(one.encode(), token.encode()) for one in shown):
                raise Refused("not the token")

        def answer(self, status, *headers):
            self.send_response(status)
            for name, value in headers:
                self.send_header(name, value)
            self.send_header("Content-Length", "0")
            self.send_header("Connection", "close")
            self.end_headers()

        def log_message(self, *arguments):
            """Says nothing of each request."""

    return Handler


def main():
    parser = argparse.ArgumentParser(description="Prints the events that a webhook gets.")
    parser.add_argument("--listen", default="127.0.0.1:8500")
    parser.add_argument("--url", required=True, help="the URL of the webhook as the agent knows it")
    parser.add_argument("--keys", required=True, help="the agent's key set: a URL or a file")
    arguments = parser.parse_args()
    host, port = arguments.listen.rsplit(":", 1)
    handle = handler(arguments.url, Keys(arguments.keys), os.environ.get("WEBHOOK_TOKEN"))
    with http.server.ThreadingHTTPServer((host, int(port)), handle) as server:
        print(f"ready {host}:{server.server_address[1]}", file=sys.stderr, flush=True)
        server.serve_forever()


if __name__ == "__main__":
    main()

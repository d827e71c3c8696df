"""The official Python SDK's verifier of agent cards against a server of ours: signed_card.py URL."""

import asyncio
import sys

import httpx
from a2a.client.card_resolver import A2ACardResolver
from a2a.types import AgentCard
from a2a.utils.signing import InvalidSignaturesError, create_signature_verifier
from google.protobuf.json_format import Parse
from jwt import PyJWKSet

from checks import check, equal, run

AGENTS = ["echo", "bench", "counter", "conformance"]


class Server:
    def __init__(self, url):
        self.url = url

    def verifier(self):
        keys = PyJWKSet.from_dict(httpx.get(f"{self.url}/.well-known/jwks.json").json())
        return create_signature_verifier(lambda kid, jku: keys[kid], ["ES256", "EdDSA"])

    async def cards(self):
        async with httpx.AsyncClient() as http:
            return [await A2ACardResolver(http, f"{self.url}/{agent}").get_agent_card() for agent in AGENTS]

    def extended(self):
        answer = httpx.get(f"{self.url}/conformance/extendedAgentCard", headers={"A2A-Version": "1.0"})
        return Parse(answer.text, AgentCard())


@check
async def public_cards(server):
    cards = await server.cards()
    verify = server.verifier()
    for card in cards:
        equal(len(card.signatures), 1, "signatures")
        verify(card)


@check
def extended_card(server):
    server.verifier()(server.extended())


@check
async def changed_cards_are_refused(server):
    verify = server.verifier()
    for card in await server.cards():
        card.description += "!"
        try:
            verify(card)
        except InvalidSignaturesError:
            continue
        raise AssertionError(f"{card.name} was accepted")


asyncio.run(run(Server(*sys.argv[1:])))

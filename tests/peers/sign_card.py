"""Signs the agent card on standard input with the official Python SDK: sign_card.py KEY_FILE ALGORITHM."""

import sys

from a2a.types import AgentCard
from a2a.utils.signing import create_agent_card_signer
from google.protobuf.json_format import MessageToJson, Parse

key_file, algorithm = sys.argv[1:]
with open(key_file, encoding="ascii") as file:
    key = file.read()
header = {"alg": algorithm, "kid": "k", "typ": "JOSE"}
card = Parse(sys.stdin.buffer.read().decode("utf-8"), AgentCard())
sys.stdout.buffer.write(MessageToJson(create_agent_card_signer(key, header)(card)).encode("utf-8"))

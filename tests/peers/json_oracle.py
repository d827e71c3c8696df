"""What Python's protobuf makes of ProtoJSON, for the test to compare with.

Reads one case per line, {"type": "Message", "json": "..."} or {"type": ..., "wire": "<hex>"}, and answers one line each:
{"wire": "<hex>", "json": {...}} or {"error": "..."}.
"""

import json
import sys

from a2a.types import a2a_pb2
from google.protobuf import json_format


def answer(case):
    message = getattr(a2a_pb2, case["type"])()
    try:
        if "json" in case:
            json_format.Parse(case["json"], message, ignore_unknown_fields=True)
        else:
            message.ParseFromString(bytes.fromhex(case["wire"]))
        wire = message.SerializeToString(deterministic=True).hex()
        return {"wire": wire, "json": json_format.MessageToDict(message)}
    except Exception as error:  # any refusal is an answer
        return {"error": f"{type(error).__name__}: {error}"[:200]}


for line in sys.stdin:
    print(json.dumps(answer(json.loads(line))))

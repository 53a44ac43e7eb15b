"""
Billing, which believes signatures and nobody's word: `python examples/assurance_maladie/billing.py KEY.pub FILE`.

Has `telerelay attest verify` check the file, then takes or refuses it by the policy's part that was signed with it.
Prints {accepted, amount_cents, reason}; exits 0 where it is accepted, else 1.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path


def bill(public_key: str, file: str) -> dict[str, object]:
    """What is paid for an attestation, and why not."""
    command = [sys.executable, "-m", "telerelay.cli", "attest", "verify", "--json", "--key", public_key, file]
    verified = subprocess.run(command, capture_output=True, text=True, check=False)
    if verified.returncode:
        return {"accepted": False, "amount_cents": 0, "reason": "it is not what was signed, or not signed by the relay"}
    policy = json.loads(Path(file).read_text())["attestation"]["policy"]
    claims = policy.get("claims", {})
    accepted = claims.get("reimbursable") is True
    return {
        "accepted": accepted,
        "amount_cents": claims.get("amount_cents", 0) if accepted else 0,
        "reason": policy.get("reason", "no policy was applied"),
    }


if __name__ == "__main__":
    answer = bill(*sys.argv[1:3])
    print(json.dumps(answer))
    sys.exit(0 if answer["accepted"] else 1)

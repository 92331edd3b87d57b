"""Write sbom.cdx.json, the bill of materials of requirements.lock (CycloneDX): ``python .ci/bill.py``.

Names, versions, package URLs and hashes, and nothing that changes from one run to the next.
"""

import json
from pathlib import Path

ROOT = Path(__file__).parent.parent


def bill(lock: str) -> dict[str, object]:
    """Turn the lines of a lock into a bill."""
    components = []
    for line in lock.splitlines():
        if "==" not in line:
            continue
        pin, digest = line.split(" --hash=sha256:")
        name, version = pin.split("==")
        reference = f"pkg:pypi/{name.lower().replace('_', '-')}@{version}"
        components.append(
            {
                "type": "library",
                "bom-ref": reference,
                "name": name,
                "version": version,
                "purl": reference,
                "hashes": [{"alg": "SHA-256", "content": digest}],
            }
        )
    return {"bomFormat": "CycloneDX", "specVersion": "1.6", "version": 1, "components": components}


if __name__ == "__main__":
    text = json.dumps(bill((ROOT / "requirements.lock").read_text()), indent=2)
    (ROOT / "sbom.cdx.json").write_text(text + "\n")

"""Write sbom.cdx.json, the bill of materials (CycloneDX): ``python .ci/bill.py``.

Of requirements.lock, and of the libraries that the page brings along. Names, versions, package URLs and hashes, and
nothing that changes from one run to the next.
"""

import base64
import json
from pathlib import Path

ROOT = Path(__file__).parent.parent


def bill(lock: str, vendor: str) -> dict[str, object]:
    """Turn the lines of a lock, and the list of the page's libraries, into a bill."""
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
    for library in json.loads(vendor):
        reference = f"pkg:npm/{library['package'].replace('@', '%40')}@{library['version']}"
        digest = base64.b64decode(library["integrity"].removeprefix("sha512-")).hex()
        components.append(
            {
                "type": "library",
                "bom-ref": reference,
                "name": library["package"],
                "version": library["version"],
                "licenses": [{"license": {"id": library["license"]}}],
                "purl": reference,
                "hashes": [{"alg": "SHA-512", "content": digest}],
            }
        )
    return {"bomFormat": "CycloneDX", "specVersion": "1.6", "version": 1, "components": components}


if __name__ == "__main__":
    vendor = ROOT / "src/ribocast/web/page/vendor/vendor.json"
    text = json.dumps(bill((ROOT / "requirements.lock").read_text(), vendor.read_text()), indent=2)
    (ROOT / "sbom.cdx.json").write_text(text + "\n")
